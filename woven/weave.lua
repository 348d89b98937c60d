-- The weave's pandoc filter: chunks, links, numbers, figures and boxes.
--
-- Input: the Markdown of all chapters in one run (backend.py writes it).
-- Metadata names what else is read and where pages go:
--   weave-book      book.lua, the table of the code
--   weave-manual    manual-sections.tsv
--   weave-figures   the folder of built SVG files
--   weave-template  the page template
--   weave-out       the folder of pages: one a chapter, index.html, the indexes
--   weave-draft     set: report faults, but write the pages
-- A fault is printed as chapters/FILE.nw:LINE and makes pandoc fail.

local P = pandoc
local X                                 -- the table of the code
local where = {}                        -- the metadata of the weave
local cur                               -- the chapter being worked on
local raw = function(s) return P.RawBlock('html', s) end
local rawin = function(s) return P.RawInline('html', s) end

local entity = { ['&'] = '&amp;', ['<'] = '&lt;', ['>'] = '&gt;', ['"'] = '&quot;' }
local function esc(s) return (s:gsub('[&<>"]', entity)) end
local function list(t) return table.concat(t, ', ') end
local function slurp(path)
  local f = assert(io.open(path)); local s = f:read('a'); f:close(); return s
end

-- ------------------------------------------------------------------ faults

local faults, known = {}, {}

-- The filter sees no line numbers: the text at fault is looked up in the source.
local function fault(chapter, needle, what)
  local n, found = 0, false
  local function add(line)
    local s = ('%s:%d: %s'):format(chapter.file, line, what)
    if not known[s] then known[s] = true; faults[#faults+1] = s end
  end
  for line in io.lines(chapter.source) do
    n = n + 1
    if line:find(needle, 1, true) then found = true; add(n) end
  end
  if not found then add(1) end
end

-- ------------------------------------------------------------------ links

local function page(topic) return topic .. '.html' end

local function url(topic, id)
  return (cur and cur.topic == topic and '' or page(topic)) .. '#' .. id
end

local function chunk_url(id) return url(X.chunks[id].chapter, id) end

local function chunk_links(ids)
  local o = {}
  for _, id in ipairs(ids) do
    o[#o+1] = ('<a href="%s">%s</a>'):format(chunk_url(id), X.chunks[id].number)
  end
  return o
end

-- A chunk's name as HTML; [[code]] in it becomes code.
local function name_html(name)
  local o, p = {}, 1
  for a, code, b in name:gmatch('()%[%[(.-%]*)%]%]()') do
    o[#o+1] = esc(name:sub(p, a - 1)) .. '<code>' .. esc(code) .. '</code>'
    p = b
  end
  o[#o+1] = esc(name:sub(p))
  return table.concat(o)
end

local function chunk_reference(name)
  local e = X.names[name]
  if not e then
    return '<span class="ref open" title="Later chapters add here">⟨' .. name_html(name) .. '⟩</span>'
  end
  local c = X.chunks[e.definitions[1]]
  return ('<a class="ref" href="%s">⟨%s <small>%s</small>⟩</a>'):format(
    chunk_url(e.definitions[1]), name_html(name), c.number)
end

-- ------------------------------------------------------------------ code

local function letters(n)
  local s = ''
  repeat s = string.char(97 + n % 26) .. s; n = n // 26 until n == 0
  return s
end

-- Lines of HTML for lines of code. A reference is highlighted as a word of its
-- own and replaced afterwards, so that the code around it keeps its colours.
local function highlight(chunk)
  local text, refs = {}, {}
  for i, line in ipairs(chunk.lines) do
    local o = {}
    for _, piece in ipairs(line) do
      if type(piece) == 'table' then
        local mark = 'CHUNKREF' .. letters(#refs) .. 'x'
        refs[#refs+1], refs[mark] = mark, piece.ref
        o[#o+1] = mark
      else o[#o+1] = piece end
    end
    text[i] = table.concat(o)
  end
  local block = P.CodeBlock(table.concat(text, '\n'), P.Attr('', { chunk.lang }))
  local html = P.write(P.Pandoc { block }, 'html', PANDOC_WRITER_OPTIONS)
  html = html:match('<pre.-><code.->(.*)</code></pre>')
  local lines = {}
  for line in (html .. '\n'):gmatch('([^\n]*)\n') do
    lines[#lines+1] = line:match('^<span id="[^"]*"><a [^>]*></a>(.*)</span>$') or line
  end
  while #lines < #chunk.lines do lines[#lines+1] = '' end       -- pandoc drops blank ends
  return lines, refs
end

local silent = { co = true, st = true, ch = true, sc = true, an = true }

-- Put links on the words of one line of highlighted code.
local function link_line(line, chunk, refs, defined)
  local out, class, before = {}, nil, ''
  local function word(w, prev)
    if refs[w] then return chunk_reference(refs[w]) end
    if silent[class] or not w:match('^[%a_]') then return w end
    local member = prev:match('%.%s*$') or prev:match('%-&gt;%s*$')
    if defined[w] then
      local id = defined[w]; defined[w] = nil
      return ('<span class="def" id="%s">%s</span>'):format(id, w)
    end
    local to = chunk.links[(member and '.' or '') .. w]
    if to then return ('<a class="id" href="%s">%s</a>'):format(url(to.chapter, to.id), w) end
    return w
  end
  for tag, text in ('<>' .. line):gmatch('(<[^>]*>)([^<]*)') do
    if tag ~= '<>' then out[#out+1] = tag end
    class = tag:match('^<span class="(%w+)"') or nil
    local include = class == 'im' and text:match('^&lt;(.-)&gt;$')
    local at = include and X.names[include]
    if at then
      out[#out+1] = ('<a class="id" href="%s">%s</a>'):format(chunk_url(at.definitions[1]), text)
    else
      local p = 1
      for a, w, b in text:gmatch('()(&?[%w_]+)()') do
        local prev = before .. text:sub(1, a - 1)
        out[#out+1] = text:sub(p, a - 1) .. (w:sub(1, 1) == '&' and w or word(w, prev))
        p = b
      end
      out[#out+1] = text:sub(p)
    end
    before = (before .. text):sub(-8)
  end
  return table.concat(out)
end

local function code_html(chunk)
  local lines, refs = highlight(chunk)
  local defs = {}
  for _, d in ipairs(chunk.defines) do
    defs[d.line] = defs[d.line] or {}
    defs[d.line][d.word] = d.id
  end
  for i, line in ipairs(lines) do lines[i] = link_line(line, chunk, refs, defs[i] or {}) end
  return table.concat(lines, '\n')
end

-- Attributes of a <pre>: what scrolls sideways on a phone and holds no link must
-- be reachable by keyboard to be scrolled.
local function scrolls(html)
  if html:find('<a ', 1, true) then return '' end
  for line in (html:gsub('<[^>]*>', '') .. '\n'):gmatch('([^\n]*)\n') do
    if utf8.len((line:gsub('\t', '        '))) > 40 then return ' tabindex="0"' end
  end
  return ''
end

local MANY = 8                          -- more uses than this: point at the index

local function defines_html(chunk)
  local o = {}
  for _, d in ipairs(chunk.defines) do
    if not d.member then
      local s = ('<a href="identifiers.html#i-%s"><code>%s</code></a>'):format(d.word, d.word)
      if #chunk.defines > MANY then       -- a table of names: the index has the rest
      elseif #d.uses > MANY then s = s .. (' (used in %d chunks)'):format(#d.uses)
      elseif #d.uses > 0 then s = s .. ' (used in ' .. list(chunk_links(d.uses)) .. ')' end
      o[#o+1] = s
    end
  end
  return o
end

local function chunk_html(id)
  local c = X.chunks[id]
  local head, foot = {}, {}
  if c.previous then head[#head+1] = 'continues ' .. chunk_links({ c.previous })[1] end
  if c.next then head[#head+1] = 'goes on in ' .. chunk_links({ c.next })[1] end
  local function add(text, items) if #items > 0 then foot[#foot+1] = text .. list(items) .. '.' end end
  if c.exercise then foot[#foot+1] = 'What the student starts from.' end
  add('Used in ', chunk_links(c.used))
  if not c.continued and #c.rest > 1 then add('Goes on in ', chunk_links(c.rest)) end
  add('Defines ', defines_html(c))
  local files = {}
  if not c.file then
    for i, f in ipairs(c.files) do
      if i > 3 then files[#files+1] = '…'; break end
      files[#files+1] = '<code>' .. esc(f) .. '</code>'
    end
  end
  local code = code_html(c)
  return ('<figure class="chunk%s" id="%s">\n<figcaption><span class="name"><a href="%s">⟨%s <small>%s</small>⟩</a>'
    .. '<span aria-hidden="true">%s</span></span>%s%s</figcaption>\n'
    .. '<pre class="code %s"%s><code>%s</code></pre>\n%s</figure>'):format(
    c.file and ' file' or '', id, '#' .. id, name_html(c.name), c.number, c.continued and ' +≡' or ' ≡',
    #files > 0 and ' <span class="path">' .. list(files) .. '</span>' or '',
    #head > 0 and ' <span class="flow">' .. table.concat(head, ' · ') .. '</span>' or '',
    c.lang, scrolls(code), code, #foot > 0 and '<p class="foot">' .. table.concat(foot, ' ') .. '</p>\n' or '')
end

-- ------------------------------------------------------------------ transcripts

local function transcript_html(el)
  local a, say = el.attributes, {}
  if a.run then
    local command = 'make ' .. a.run
    for _, k in ipairs { 'cpus', 'mem' } do
      if a[k] then command = command .. ' ' .. k:upper() .. '=' .. a[k] end
    end
    if a.vars then command = command .. ' ' .. a.vars end
    say[1] = '<code>' .. esc(command) .. '</code>'
  end
  local upto = (a.tree or ''):match('^upto%-(.+)$')
  if upto then say[#say+1] = 'in <code>tangle/upto-' .. esc(upto) .. '</code>, the book up to chapter ' .. esc(upto:gsub('^0', ''))
  elseif a.tree then say[#say+1] = 'in <code>tangle/' .. esc(a.tree) .. '</code>' end
  local lines = {}
  for line in (el.text .. '\n'):gmatch('([^\n]*)\n') do
    local prompt, typed = line:match('^(%S*[>$] )(%S.*)$')
    if prompt and (prompt == 'K> ' or prompt:match('%$ $')) then
      lines[#lines+1] = esc(prompt) .. '<kbd>' .. esc(typed) .. '</kbd>'
    else lines[#lines+1] = esc(line) end
  end
  local text = table.concat(lines, '\n')
  return ('<figure class="transcript">%s<pre%s><samp>%s</samp></pre></figure>'):format(
    #say > 0 and '<figcaption>' .. table.concat(say, ', ') .. '</figcaption>' or '', scrolls(text), text)
end

-- ------------------------------------------------------------------ figures

local function exists(path) local f = io.open(path); if f then f:close() end; return f ~= nil end

local function figure(image, caption)
  local id, src = image.identifier, image.src
  local alt = image.attributes.alt
  if not alt or alt == '' then fault(cur, src, 'a figure needs alt="…"'); alt = '' end
  alt = alt:gsub('`+ ?(.-) ?`+{%.%a+}', '%1')           -- [[code]] in an attribute
  local file = src:match('^figures/(.+%.svg)$')
  if not file then fault(cur, src, 'a figure is figures/NAME.svg, not ' .. src); return {} end
  local path = where.figures .. '/' .. file
  if not exists(path) then
    local stem = file:gsub('%.svg$', '')
    fault(cur, src, ('no source of this figure: figures/%s.dot, .json or .svg'):format(stem)); return {}
  end
  local w, unit = slurp(path):match('<svg[^>]-width="([%d.]+)(%a*)"')
  local width = w and math.ceil(tonumber(w) * (unit == 'pt' and 4 / 3 or 1)) or 600
  local label = id ~= '' and cur.labels[id]
  local text = P.List {}
  if label then text:extend { P.Strong { P.Str(label.text .. '.') }, P.Space() } end
  text:extend(caption)
  return {
    raw(('<figure class="figure"%s><div class="scroll"><img src="figures/%s" alt="%s" width="%d" style="--natural:%dpx"></div><figcaption>'):format(
      id ~= '' and ' id="' .. esc(id) .. '"' or '', esc(file), esc(alt), width, width)),
    P.Plain(text), raw('</figcaption></figure>') }
end

-- ------------------------------------------------------------------ boxes

local manual                            -- key -> { title, volume, old, new, basis }

local function read_manual(path)
  manual = {}
  for line in io.lines(path) do
    local f = {}
    for field in (line .. '\t'):gmatch('([^\t]*)\t') do f[#f+1] = field end
    if #f >= 5 and f[1] ~= 'key' and line:sub(1, 1) ~= '#' then
      manual[f[1]] = { title = f[2], volume = f[3], old = f[4], new = f[5], basis = f[6] }
    end
  end
end

-- "§24.6.2 (June 2016), §27.6.2 (June 2026)": a number means nothing without
-- its edition, and one that nobody has looked up says so.
local function section_html(m)
  local function sign(s) return (s:match('^%d') and '§' or '') .. s end
  local o = {}
  local function says(word, text) return (m.basis or ''):find(word, 1, true) and text or '' end
  if m.old ~= '?' then o[#o+1] = sign(m.old) .. ' (June 2016' .. says('unread', '; not looked up') .. ')' end
  if m.new == '-' then o[#o+1] = 'gone by June 2026'
  elseif m.new ~= '?' then
    o[#o+1] = sign(m.new) .. ' (June 2026' .. says('rule', '; number derived') .. ')'
  end
  return esc(m.title .. ': ' .. m.volume .. (#o > 0 and ' ' .. list(o) or ''))
end

local function manual_box(el)
  local heads = {}
  local keys = el.attributes.sec
  if not keys then fault(cur, '.manual', 'a manual box needs sec="key"'); keys = '' end
  for key in keys:gmatch('[^%s,]+') do
    local m = manual[key]
    if not m then fault(cur, key, ('manual section "%s" is not in woven/manual-sections.tsv'):format(key))
    else heads[#heads+1] = section_html(m) end
  end
  el.content:insert(1, P.RawBlock('html', '<p class="box-head"><span class="box-kind">Manual</span> '
    .. table.concat(heads, '; ') .. '</p>'))
  return { raw('<div class="box manual" role="note">'), P.Div(el.content), raw('</div>') }
end

local function div(el)
  local c = el.classes
  if c:includes('manual') then return manual_box(el) end
  if c:includes('answer') then
    local n = el.attributes.number
    return { raw('<details class="answer"><summary>Answer' .. (n and ' to exercise ' .. n or '') .. '</summary>'),
      P.Div(el.content), raw('</details>') }
  end
  if c:includes('solution') then
    return { raw('<div class="box solution"><p class="box-head"><span class="box-kind">Solution</span></p>'),
      P.Div(el.content), raw('</div>') }
  end
end

-- ------------------------------------------------------------------ numbers

local labels = {}                       -- id -> { text, title, chapter, id }, or 'many'

local function give_label(id, text, needle, title)
  if id == '' then return end
  if cur.labels[id] then fault(cur, needle, 'the id ' .. id .. ' is given twice'); return end
  local l = { text = text, chapter = cur.topic, id = id, title = title }
  cur.labels[id] = l
  local other = labels[id]
  if not other then labels[id] = l
  elseif id:match('^%a+:') then fault(cur, needle, ('the id %s is given in %s too'):format(id, page(other.chapter)))
  else labels[id] = 'many' end
end

-- Number sections, figures and exercises, and note what can be referred to.
local function number(chapter)
  cur = chapter
  local section, sub, fig = 0, 0, 0
  local exercise
  chapter.labels, chapter.sections, chapter.figures = {}, {}, {}
  local function images(block)
    P.Div({ block }):walk { Image = function(im)
      if im.identifier == '' then return end
      fig = fig + 1
      give_label(im.identifier, ('Figure %s.%d'):format(chapter.number, fig), '#' .. im.identifier)
      chapter.figures[#chapter.figures+1] = { id = im.identifier, number = chapter.number .. '.' .. fig, caption = im.caption }
    end }
  end
  local function answers(blocks, n)
    for _, b in ipairs(blocks) do
      if b.t == 'Div' and b.classes:includes('answer') then b.attributes.number = tostring(n) end
    end
  end
  local function scan(blocks)
    for _, b in ipairs(blocks) do
      if b.t == 'Header' then
        local s
        if b.level == 1 then s = chapter.number
          give_label(b.identifier, chapter.words .. ' ' .. chapter.number, '# ', P.utils.stringify(b.content))
        elseif b.level == 2 then section, sub = section + 1, 0
          s = chapter.number .. '.' .. section
          exercise = P.utils.stringify(b.content):match('^Exercises') and 0 or nil
        elseif b.level == 3 then sub = sub + 1; s = ('%s.%d.%d'):format(chapter.number, section, sub) end
        if b.level > 1 then give_label(b.identifier, s and 'section ' .. s or P.utils.stringify(b.content), '#' .. b.identifier) end
        if b.level == 2 then chapter.sections[#chapter.sections+1] = { id = b.identifier, number = s, text = b.content } end
        if s and b.level > 1 then b.attributes.number = s end
      elseif b.t == 'OrderedList' and exercise then
        b.start = exercise + 1
        for _, item in ipairs(b.content) do exercise = exercise + 1; answers(item, exercise); scan(item) end
      elseif b.t == 'Div' then
        if exercise and exercise > 0 then answers({ b }, exercise) end
        if b.identifier ~= '' then give_label(b.identifier, b.identifier, '#' .. b.identifier) end
        scan(b.content)
      else images(b) end
    end
  end
  scan(chapter.blocks)
end

-- ------------------------------------------------------------------ references

local function plain_code(el)           -- in headings and links: no link inside
  return el:walk { Code = function(c) c.classes = {}; return c end }
end

local function quote(el)
  if el.classes:includes('chunkname') then return rawin(chunk_reference(el.text)) end
  if not el.classes:includes('quote') then return end
  local text, o, p = el.text, {}, 1
  local file = X.names[text]
  if file and X.chunks[file.definitions[1]].file then
    return rawin(('<a class="id" href="%s"><code>%s</code></a>'):format(chunk_url(file.definitions[1]), esc(text)))
  end
  for a, w, b in text:gmatch('()([%w_]+)()') do
    local to = X.words[cur.topic][w]
    o[#o+1] = esc(text:sub(p, a - 1))
    o[#o+1] = to and ('<a class="id" href="%s">%s</a>'):format(url(to.chapter, to.id), w) or w
    p = b
  end
  o[#o+1] = esc(text:sub(p))
  return rawin('<code>' .. table.concat(o) .. '</code>')
end

local function link(el, opens, closes)
  local id = el.target:match('^#(.*)$')
  if not id then return end
  local to = cur.labels[id] or labels[id]
  if not to then
    fault(cur, '(#' .. id .. ')', ('nothing in the book has the id %s'):format(id)); return
  elseif to == 'many' then
    fault(cur, '(#' .. id .. ')', ('several chapters have the id %s'):format(id)); return
  end
  el.target = url(to.chapter, to.id:match('^ch:') and to.chapter ~= cur.topic and '' or to.id):gsub('#$', '')
  if #el.content == 0 then
    local text = to.text
    if to.title then
      if closes then text = text .. ', ' .. to.title else el.title = to.title end
    end
    if opens then text = text:sub(1, 1):upper() .. text:sub(2) end
    el.content = P.Inlines(P.Str(text))
  end
  return el
end

-- A reference that opens a sentence begins with a capital; one that ends a
-- sentence or a parenthesis has room for the title ("see chapter 8, Traps").
local function inlines(all)
  local prev
  for i, el in ipairs(all) do
    if el.t == 'Link' then
      local after = all[i+1]
      all[i] = link(plain_code(el), not prev or (prev.t == 'Str' and prev.text:match('[.?!]$')),
        not after or (after.t == 'Str' and after.text:match('^[.;:)?!]'))) or el
    end
    if el.t ~= 'Space' and el.t ~= 'SoftBreak' then prev = el end
  end
  return all
end

local render = {
  Inlines = inlines,
  Code = quote,
  CodeBlock = function(el)
    if el.classes:includes('chunk') then return raw(chunk_html(el.identifier)) end
    if el.classes:includes('transcript') then return raw(transcript_html(el)) end
  end,
  Para = function(el)
    local im = el.content[1]
    if #el.content == 1 and im.t == 'Image' then return figure(im, im.caption) end
  end,
  Image = function(im)
    if im.identifier == '' and not im.attributes.alt then fault(cur, im.src, 'a figure needs alt="…"') end
  end,
  Table = function(t) return { raw('<div class="scroll table">'), t, raw('</div>') } end,
  Header = function(h)
    local n = h.attributes.number
    if n then h.attributes.number = nil
      h.content:insert(1, rawin('<span class="number">' .. n .. '</span> ')) end
    return h
  end,
  Div = div,
}

-- ------------------------------------------------------------------ pages

local template

local function inline_html(inls)
  local s = P.write(P.Pandoc { plain_code(P.Plain(inls)) }, 'html')
  return (s:gsub('<a [^>]*>', ''):gsub('</a>', ''))
end

local function contents_item(ch, here)
  local o = {}
  o[#o+1] = ('<li><a href="%s"%s><span class="number">%s</span> %s</a>'):format(
    page(ch.topic), ch == here and ' aria-current="page"' or '', ch.number, ch.html)
  if ch == here and #ch.sections > 0 then
    o[#o+1] = '<ul>'
    for _, s in ipairs(ch.sections) do
      o[#o+1] = ('<li><a href="#%s"><span class="number">%s</span> %s</a></li>'):format(esc(s.id), s.number, inline_html(s.text))
    end
    o[#o+1] = '</ul>'
  end
  return table.concat(o, '\n') .. '</li>'
end

local function contents(parts, extra, here, level)
  local o = {}
  for i, part in ipairs(parts) do
    if part.title then
      o[#o+1] = ('<%s class="part">%s</%s>'):format(level, esc(part.title), level)
    end
    o[#o+1] = '<ul class="chapters">'
    for _, ch in ipairs(part) do o[#o+1] = contents_item(ch, here) end
    o[#o+1] = '</ul>'
  end
  o[#o+1] = '<ul class="chapters extra">'
  for _, e in ipairs(extra) do
    o[#o+1] = ('<li><a href="%s"%s>%s</a></li>'):format(e.file, e == here and ' aria-current="page"' or '', esc(e.title))
  end
  o[#o+1] = '</ul>'
  return table.concat(o, '\n')
end

local function write_page(file, blocks, vars)
  local meta = {}
  for k, v in pairs(vars) do meta[k] = P.MetaInlines { rawin(v) } end
  local options = PANDOC_WRITER_OPTIONS
  options.template = template
  local html = P.write(P.Pandoc(blocks, meta), 'html', options)
  options.template = nil
  local f = assert(io.open(where.out .. '/' .. file, 'w'))
  f:write(html, '\n'); f:close()
end

local function sorted(t)
  local keys = {}
  for k in pairs(t) do keys[#keys+1] = k end
  table.sort(keys, function(a, b)
    local x, y = a:lower(), b:lower()
    if x ~= y then return x < y end
    return a < b end)
  return keys
end

local function chunk_pages()
  local files, chunks = {}, {}
  for _, name in ipairs(sorted(X.names)) do
    local e = X.names[name]
    local c = X.chunks[e.definitions[1]]
    local defs = list(chunk_links(e.definitions))
    if c.file and not c.exercise then files[#files+1] = ('<li><code>%s</code> %s</li>'):format(esc(name), defs)
    else
      chunks[#chunks+1] = ('<li>⟨%s⟩ %s%s</li>'):format(name_html(name), defs,
        #e.uses > 0 and '; used in ' .. list(chunk_links(e.uses)) or '')
    end
  end
  return { raw('<h1>Files and chunks</h1>\n<p>A number leads to a chunk: chapter, then its place in the chapter.</p>'
    .. '\n<section id="files"><h2>Files of the tree</h2>\n<ul class="index">\n' .. table.concat(files, '\n')
    .. '\n</ul></section>\n<section id="chunks"><h2>Chunks</h2>\n<ul class="index">\n' .. table.concat(chunks, '\n') .. '\n</ul></section>') }
end

local function identifier_page()
  local words = {}
  for _, ch in ipairs(X.chapters) do
    for _, id in ipairs(ch.chunks) do
      for _, d in ipairs(X.chunks[id].defines) do
        words[d.word] = words[d.word] or {}
        table.insert(words[d.word], { chunk = id, id = d.id, uses = d.uses })
      end
    end
  end
  local o = { '<h1>Identifiers</h1>\n<p>The first number leads to the definition, the others to the chunks that use it.</p>\n<ul class="index">' }
  for _, w in ipairs(sorted(words)) do
    local s = {}
    for _, d in ipairs(words[w]) do
      local c = X.chunks[d.chunk]
      s[#s+1] = ('<a href="%s"><strong>%s</strong></a>%s%s'):format(url(c.chapter, d.id), c.number,
        #words[w] > 1 and #c.files > 0 and ' in <code>' .. esc(c.files[1]) .. '</code>' or '',
        #d.uses > 0 and ': ' .. list(chunk_links(d.uses)) or '')
    end
    o[#o+1] = ('<li id="i-%s"><code>%s</code> %s</li>'):format(w, w, table.concat(s, '; '))
  end
  o[#o+1] = '</ul>'
  return { raw(table.concat(o, '\n')) }
end

local function figure_page(chapters)
  local blocks = P.List { raw('<h1>Figures</h1>\n<ul class="index">') }
  for _, ch in ipairs(chapters) do
    for _, f in ipairs(ch.figures) do
      blocks:insert(raw(('<li><a href="%s">%s</a> %s</li>'):format(url(ch.topic, f.id), f.number, inline_html(f.caption))))
    end
  end
  blocks:insert(raw('</ul>'))
  return blocks
end

-- Chapters outside every part come first; then the parts that have any.
local function parts_of(meta, chapters)
  local parts, rest, at = { {} }, {}, {}
  local function order(s) s = P.utils.stringify(s); return tonumber(s) or 1000 + s:byte() end
  for _, p in ipairs(meta.parts or {}) do
    parts[#parts+1] = { title = P.utils.stringify(p.title), first = order(p.first), last = order(p.last) }
  end
  for _, ch in ipairs(chapters) do
    local n, home = order(ch.number), parts[1]
    for i = 2, #parts do
      if n >= parts[i].first and n <= parts[i].last then home = parts[i] end
    end
    home[#home+1] = ch
  end
  local full = {}
  for _, p in ipairs(parts) do if #p > 0 then full[#full+1] = p end end
  return full
end

-- ------------------------------------------------------------------ main

function Pandoc(doc)
  for k, v in pairs(doc.meta) do
    local key = k:match('^weave%-(.*)$')
    if key then where[key] = P.utils.stringify(v) end
  end
  X = dofile(where.book)
  read_manual(where.manual)
  template = P.template.compile(slurp(where.template))

  -- 1. Cut the document into chapters; slides are no part of the pages.
  local blocks = P.Div(doc.blocks):walk {
    Div = function(d) if d.classes:includes('slide') or d.classes:includes('notes') then return {} end end,
    Header = plain_code,
  }.content
  local chapters, n = {}, 0
  for _, b in ipairs(blocks) do
    if b.t == 'Header' and b.level == 1 then
      n = n + 1
      chapters[n] = X.chapters[n]
      chapters[n].blocks, chapters[n].title = P.List {}, b.content
      chapters[n].words = chapters[n].number:match('%d') and 'chapter' or 'appendix'
      chapters[n].html = inline_html(b.content)
    end
    chapters[n].blocks:insert(b)
  end

  -- 2. Numbers and labels of all, before anything refers to them.
  for _, ch in ipairs(chapters) do number(ch) end

  -- 3. Render each chapter.
  for _, ch in ipairs(chapters) do
    cur = ch
    ch.blocks = P.Div(ch.blocks):walk(render).content
  end
  if #faults > 0 then
    for _, s in ipairs(faults) do io.stderr:write('weave: ', s, '\n') end
    if not where.draft then os.exit(1) end
  end

  -- 4. Write the pages.
  cur = nil
  local title = P.utils.stringify(doc.meta.title)
  local extra = { { file = 'chunks.html', title = 'Files and chunks', blocks = chunk_pages() },
    { file = 'identifiers.html', title = 'Identifiers', blocks = identifier_page() },
    { file = 'figures.html', title = 'Figures', blocks = figure_page(chapters) } }
  local parts = parts_of(doc.meta, chapters)
  local pages = { { file = 'index.html', title = 'Contents' } }
  for _, p in ipairs(parts) do
    for _, ch in ipairs(p) do
      ch.file = page(ch.topic)
      ch.blocks:remove(1)
      ch.blocks:insert(1, raw(('<h1 id="ch:%s"><span class="chapter">%s %s</span> %s</h1>'):format(
        ch.topic, ch.words:gsub('^%l', string.upper), ch.number, ch.html)))
      pages[#pages+1] = { file = ch.file, title = ch.number .. ' ' .. ch.html, blocks = ch.blocks, here = ch }
    end
  end
  for _, e in ipairs(extra) do pages[#pages+1] = { file = e.file, title = e.title, blocks = e.blocks, here = e } end

  local subtitle = doc.meta.subtitle and P.utils.stringify(doc.meta.subtitle)
  pages[1].blocks = { raw('<h1>' .. esc(title) .. '</h1>'
    .. (subtitle and '<p class="subtitle">' .. esc(subtitle) .. '</p>' or '')
    .. '<nav class="book" aria-label="Chapters">' .. contents(parts, extra, nil, 'h2') .. '</nav>'
    .. (doc.meta.rights and '<p class="rights">' .. esc(P.utils.stringify(doc.meta.rights)) .. '</p>' or '')) }

  local function neighbour(p, rel, before, after)
    return p and ('<a rel="%s" href="%s">%s%s%s</a>'):format(rel, p.file, before, p.title, after) or ''
  end
  for i, p in ipairs(pages) do
    write_page(p.file, p.blocks, {
      pagetitle = p.file == 'index.html' and esc(title) or p.title:gsub('<[^>]*>', '') .. ' – ' .. esc(title),
      booktitle = esc(title), lang = doc.meta.lang and P.utils.stringify(doc.meta.lang) or 'en',
      contents = p.file ~= 'index.html' and contents(parts, extra, p.here, 'p') or '',
      prev = neighbour(pages[i-1], 'prev', '← ', ''), next = neighbour(pages[i+1], 'next', '', ' →') })
  end
  return P.Pandoc({})
end
