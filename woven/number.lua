-- From a chapter's Markdown to its AST: numbers, and what it can be asked for.
--
-- Input: the Markdown of one chapter (backend.py writes it). Output: its AST as
-- JSON, in which
--   a Header has attributes.number ("5.2"; none in a front chapter),
--   an Image with an id has attributes.number ("5.1"),
--   a Table in ::: {#tbl:…} likewise,
--   each exercise begins with an empty Span #exercise-5-N,
--   a Div .answer has attributes.number (that of its exercise, N),
--   a Div .manual has an id (manual-5-N).
-- Slides (Div .slide, with Div .notes in them) stay, without numbers.
-- Metadata: weave-topic, weave-number ("5", "A", "" for a front chapter),
-- weave-facts: the file to which the facts go, as JSON, for the driver:
--   title, html         the title as text and as HTML
--   sections            {id, number, html} of each ## heading
--   labels              {id, text, title?, needle} of all that can be referred to
--   figures             {id, number, html} of the captions
--   images              {src, alt, id}; needle of each is src
--   refs                ids that links name; links: what else they name
--   manual              {id, keys, section} of each manual box
--   exercises           how many
--   terms               of each glossary entry: {id, term, html}

local P = pandoc
local topic, chapter                    -- "05-physical-memory", "5"

local function json(v)
  if type(v) == 'table' then
    local o = {}
    if #v > 0 or next(v) == nil then
      for i, x in ipairs(v) do o[i] = json(x) end
      return '[' .. table.concat(o, ',') .. ']'
    end
    for k, x in pairs(v) do o[#o+1] = json(k) .. ':' .. json(x) end
    table.sort(o)
    return '{' .. table.concat(o, ',') .. '}'
  elseif type(v) == 'string' then
    return '"' .. v:gsub('[%c"\\]', function(c) return ('\\u%04x'):format(c:byte()) end) .. '"'
  end
  return tostring(v)
end

local function plain_code(el)           -- in titles and captions: no marks on code
  return el:walk { Code = function(c) c.classes = {}; return c end }
end

local function html(blocks)
  local s = P.write(P.Pandoc(blocks):walk { Code = function(c) c.classes = {}; return c end }, 'html')
  return (s:gsub('<a [^>]*>', ''):gsub('</a>', ''))
end
local function inline_html(inlines) return html { P.Plain(inlines) } end

local facts = { sections = {}, labels = {}, figures = {}, images = {}, refs = {}, links = {}, manual = {},
  terms = {}, exercises = 0 }

local function label(id, text, needle, title)
  if id ~= '' then
    facts.labels[#facts.labels+1] = { id = id, text = text, needle = needle or '#' .. id, title = title }
  end
end

local section, sub, figures, tables, items = 0, 0, 0, 0, 0
local here = ''                         -- the section's number
local exercise                          -- the last exercise's number, in Exercises

local function dotted(n) return chapter == '' and tostring(n) or chapter .. '.' .. n end

local function answers(blocks, n)
  for _, b in ipairs(blocks) do
    if b.t == 'Div' and b.classes:includes('answer') then b.attributes.number = tostring(n) end
  end
end

-- Who wrote a work of the bibliography, and its name: its item up to the first
-- words in italics.
local function work(item)
  local who = P.Inlines {}
  for i, el in ipairs(item.content) do
    if el.t == 'Emph' then
      local names = P.utils.stringify(who):gsub('%s*%.?%s*$', '')
      if names:match(',.* and ') then names = names:match('^[^,]*') .. ' and others' end
      return names .. ', ' .. P.utils.stringify(el)
    end
    who:insert(el)
  end
  return P.utils.stringify(item)
end

-- Labels of what stands inside paragraphs: figures, and spans with an id.
local function inside(block)
  return block:walk {
    Image = function(im)
      facts.images[#facts.images+1] = { src = im.src, id = im.identifier,
        alt = im.attributes.alt ~= nil and im.attributes.alt ~= '' }
      if im.identifier == '' then return end
      figures = figures + 1
      im.attributes.number = dotted(figures)
      label(im.identifier, 'Figure ' .. dotted(figures))
      facts.figures[#facts.figures+1] = { id = im.identifier, number = dotted(figures), html = inline_html(im.caption) }
      return im
    end,
    Span = function(s)
      if s.identifier:match('^bib:') and block.content then
        label(s.identifier, '[' .. items .. ']', nil, work(block))
      elseif s.identifier ~= '' and not s.identifier:match('^exercise%-') then label(s.identifier, P.utils.stringify(s.content)) end
    end,
  }
end

local function header(b)
  if b.level == 1 then
    facts.title, facts.html = P.utils.stringify(b.content), inline_html(b.content)
    local kind = chapter:match('%d') and 'chapter ' or 'appendix '
    if chapter == '' then label(b.identifier, 'the preface', '# ')
    else
      label(b.identifier, kind .. chapter, '# ', facts.title)
      b.attributes.number = chapter
    end
    return b
  end
  local s
  if b.level == 2 then section, sub = section + 1, 0
    s = dotted(section)
    exercise = P.utils.stringify(b.content):match('^Exercises') and 0 or nil
  elseif b.level == 3 then sub = sub + 1; s = ('%s.%d'):format(dotted(section), sub) end
  if chapter == '' then s = nil end
  here = s or here
  label(b.identifier, s and 'section ' .. s or P.utils.stringify(b.content))
  if b.level == 2 then
    facts.sections[#facts.sections+1] = { id = b.identifier, number = s or '', html = inline_html(b.content) }
  end
  b.attributes.number = s
  return b
end

local scan
local function scan_all(list)
  for i, blocks in ipairs(list) do list[i] = scan(blocks) end
  return list
end

function scan(blocks)
  local out = P.Blocks {}
  for _, b in ipairs(blocks) do
    if b.t == 'Header' then b = header(b)
    elseif b.t == 'OrderedList' then
      if exercise then b.start = exercise + 1 end
      for i, item in ipairs(b.content) do
        items = items + 1
        if exercise then
          exercise = exercise + 1
          answers(item, exercise)
          local id = ('exercise-%s-%d'):format(chapter, exercise)
          label(id, ('exercise %d of chapter %s'):format(exercise, chapter))
          local mark = P.Span({}, P.Attr(id))
          if item[1] and item[1].content and item[1].t ~= 'Div' then item[1].content:insert(1, mark)
          else item:insert(1, P.Plain { mark }) end
          items = 0
        end
        local saved = exercise; exercise = nil
        b.content[i] = scan(item)
        exercise = saved
      end
    elseif b.t == 'BulletList' then b.content = scan_all(b.content)
    elseif b.t == 'DefinitionList' then
      for _, entry in ipairs(b.content) do
        local id = ''
        entry[1] = P.Plain(entry[1]):walk { Span = function(s) if s.identifier:match('^gl:') then id = s.identifier end end }.content
        local term = inside(P.Plain(entry[1])).content
        if id ~= '' then
          local all = P.Blocks {}
          for _, d in ipairs(entry[2]) do all:extend(d) end
          facts.terms[#facts.terms+1] = { id = id, term = P.utils.stringify(term), html = html(all) }
        end
        scan_all(entry[2])
      end
    elseif b.t == 'BlockQuote' then b.content = scan(b.content)
    elseif b.t == 'Div' and (b.classes:includes('slide') or b.classes:includes('notes')) then
      -- no numbers there
    elseif b.t == 'Div' then
      if exercise and exercise > 0 then answers({ b }, exercise) end
      if b.classes:includes('manual') then
        b.identifier = ('manual-%s-%d'):format(chapter, #facts.manual + 1)
        label(b.identifier, here)
        facts.manual[#facts.manual+1] = { id = b.identifier, keys = b.attributes.sec or '', section = here }
      elseif b.identifier:match('^tbl:') then
        tables = tables + 1
        b.attributes.number = dotted(tables)
        label(b.identifier, 'Table ' .. dotted(tables))
      elseif b.identifier ~= '' then label(b.identifier, b.identifier) end
      b.content = scan(b.content)
    else b = inside(b) end
    out:insert(b)
  end
  facts.exercises = math.max(facts.exercises, exercise or 0)
  return out
end

function Pandoc(doc)
  topic = P.utils.stringify(doc.meta['weave-topic'])
  chapter = P.utils.stringify(doc.meta['weave-number'])
  doc.blocks = scan(doc.blocks:walk { Header = plain_code, Link = function(l)
    local id = l.target:match('^#(.*)$')
    if id then facts.refs[#facts.refs+1] = id else facts.links[#facts.links+1] = l.target end
    return plain_code(l)
  end })
  local f = assert(io.open(P.utils.stringify(doc.meta['weave-facts']), 'w'))
  assert(f:write(json(facts), '\n')); assert(f:close())
  doc.meta = {}
  return doc
end
