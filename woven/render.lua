-- From a chapter's numbered AST (number.lua) to a page in one of the formats.
--
-- This filter does what all formats share: it finds what a reference means, what
-- the words of [[code]] mean, and takes boxes, figures and transcripts apart. For
-- the leaves it calls a module of the format: html.lua (html, epub, slides) or
-- latex.lua (pdf). The driver has found all faults before; in a draft an unknown
-- reference comes here without a label and is shown as ??.
--
-- Metadata: weave-data    the chapter's NN-topic.lua (see below)
--           weave-format  html, epub, pdf or slides
--           weave-module  path of html.lua or latex.lua
-- With format slides only the slides are kept, with any other they are dropped.
--
-- A MODULE is a file that returns function(W), which returns a table of
-- functions. Each gives a Block, an Inline (or a list of them) as pandoc knows it;
-- what the format must write itself is a RawBlock or RawInline.
--
--   chunk(c)                 -> Block     a chunk, with its header and its foot
--   chunk_code(c)            -> Block     its code alone: a lone [[<<name>>]] on a slide;
--                                         c.parts: all parts of the name, if more than one
--   chunk_reference(name, to)-> Inline    [[<<name>>]] in prose; to: a place, or nil when
--                                         only later chapters define it
--   code(pieces)             -> Inline    [[code]] in prose: a list of {text, to}; to: a
--                                         place (nil: a word without a definition)
--   transcript(t)            -> Block     t.command ("make qemu-nox CPUS=2" or nil), t.tree
--                                         ("upto-05" or nil), t.lines: {prompt, typed} or {text},
--                                         t.change: {file, old, new} or nil, made in the tree before
--   figure(f)                -> Blocks    f.id, f.number (nil: no caption's number), f.file
--                                         ("boxes.svg"), f.alt, f.caption (Inlines)
--   manual_box(b)            -> Blocks    b.id, b.sections: list of {key, text, to}, b.content;
--                                         to: its row in the concordance, a place
--   answer(a)                -> Blocks    a.number (or nil), a.content
--   solution(content)        -> Blocks
--   table(t, id, number, caption) -> Blocks   id and number may be nil
--   header(h, number)        -> Block(s)  number: "5.2" or nil; level 1 is the chapter's title
--   link(el, to)             -> Inline    el: a Link whose content is complete; to: a label
--   exercise(el, n)          -> Inline    the mark before an exercise: el is an empty Span
--   note(el)                 optional: a footnote
--   code_block(el)           optional: a block of code that is no chunk
--
-- A PLACE is {topic, id, number}: "05-physical-memory", "c-find-a-page", "5.12" (a
-- chunk) or a definition's place, {topic, id} (id "d-page_alloc").
-- A LABEL is {topic, id, text, title}: "section 5.2", "Figure 5.1", "[12]".
-- A CHUNK c has
--   id, number, name, topic, lang
--   file         it is a file of the tree
--   files        the files in which it lands (itself, if it is one)
--   within       functions (or structs) of these files in which it lands: names
--   exercise     it is what the student starts from (a name with "(exercise N)")
--   apart        such a one, and what another chunk stands for in this edition's files
--   continued    not the first of its name
--   previous, next   places of its other parts (nil: none); rest: all parts after the
--                first, in the first
--   used         places of the chunks that use it
--   defines      list of {word, id, member, uses}: uses are places; member: a field
--   lines        list of lines; a line is a list of tokens; a token is
--                  "text"                      plain text
--                  {class, text}               kw dt dv st ch co pp im va fu
--                  {class or "", text, to = place}      a word with a definition
--                  {class or "", text, def = id}        the word that is defined here
--                  {ref = name, to = place or nil}      <<name>>
--
-- W gives a module what it may need:
--   W.format, W.topic, W.number, W.kind ("chapter", "appendix", "preface")
--   W.chunks            id -> chunk, of this chapter
--   W.name(name)        a chunk's name as a list of {text, code}: [[code]] in it
--   W.plain(line)       a line of tokens as text
--   W.data              all of NN-topic.lua

local P = pandoc
local W = {}
local D, F                              -- the chapter's data, the format's functions

function W.name(name)
  local o, p = {}, 1
  for a, code, b in name:gmatch('()%[%[(.-%]*)%]%]()') do
    if a > p then o[#o+1] = { name:sub(p, a - 1) } end
    o[#o+1] = { code, true }
    p = b
  end
  if p <= #name then o[#o+1] = { name:sub(p) } end
  return o
end

function W.plain(line)
  local o = {}
  for _, t in ipairs(line) do
    o[#o+1] = type(t) == 'string' and t or t.ref and '<<' .. t.ref .. '>>' or t[2]
  end
  return table.concat(o)
end

-- ------------------------------------------------------------------ code

local function quote(el)
  if el.classes:includes('chunkname') then
    return F.chunk_reference(el.text, D.names[el.text] or nil)
  end
  if not el.classes:includes('quote') then return end
  local text, pieces, p = el.text, {}, 1
  local file = D.names[text]
  if file and file.file then return F.code { { text, file } } end
  for a, w, b in text:gmatch('()([%w_]+)()') do
    local to = D.words[w]
    if to then
      if a > p then pieces[#pieces+1] = { text:sub(p, a - 1) } end
      pieces[#pieces+1] = { w, to }
      p = b
    end
  end
  if p <= #text then pieces[#pieces+1] = { text:sub(p) } end
  return F.code(pieces)
end

local function transcript(el)
  local a, command = el.attributes, nil
  if a.run then
    command = 'make ' .. a.run
    for _, k in ipairs { 'cpus', 'mem' } do
      if a[k] then command = command .. ' ' .. k:upper() .. '=' .. a[k] end
    end
    if a.vars then command = command .. ' ' .. a.vars end
  end
  local lines = {}
  for line in (el.text .. '\n'):gmatch('([^\n]*)\n') do
    local prompt, typed = line:match('^(%S*[>$] )(%S.*)$')
    if prompt and (prompt == 'K> ' or prompt:match('%$ $')) then lines[#lines+1] = { prompt, typed }
    else lines[#lines+1] = { line } end
  end
  return F.transcript { command = command, tree = a.tree, lines = lines,
    change = a.old and { file = a.file, old = a.old, new = a.new or '' } }
end

local function code_block(el)
  if el.classes:includes('chunk') then return F.chunk(D.chunks[el.identifier]) end
  if el.classes:includes('transcript') then return transcript(el) end
  if F.code_block then return F.code_block(el) end
end

-- ------------------------------------------------------------------ blocks

local function figure(im)
  local alt = (im.attributes.alt or ''):gsub('`+ ?(.-) ?`+{%.%a+}', '%1')  -- [[code]] in an attribute
  return F.figure { id = im.identifier, number = im.attributes.number, alt = alt, caption = im.caption,
    file = im.src:gsub('^figures/', '') }
end

local function div(el)
  local c = el.classes
  if c:includes('manual') then
    local sections = {}
    for key in (el.attributes.sec or ''):gmatch('[^%s,]+') do
      sections[#sections+1] = { key = key, text = D.manual[key] or key,
        to = { topic = 'C-manual-sections', id = 'm:' .. key } }
    end
    return F.manual_box { id = el.identifier, sections = sections, content = el.content }
  elseif c:includes('answer') then
    return F.answer { number = el.attributes.number, content = el.content }
  elseif c:includes('solution') and not c:includes('slide') then return F.solution(el.content)
  elseif c:includes('instructor') and not c:includes('slide') then return el.content
  end
end

-- ------------------------------------------------------------------ links

local function link(el, opens, closes)
  local id = el.target:match('^#(.*)$')
  if not id then return end
  local to = D.labels[id] or { topic = W.topic, id = '', text = '??' }
  if #el.content == 0 then
    local text = to.text
    if text:match('^%[') then           -- a work is named where a sentence begins with it
      if opens and to.title then text = text .. ' ' .. to.title else el.title = to.title or '' end
    elseif to.title then
      if closes then text = text .. ', ' .. to.title else el.title = to.title end
    end
    if opens then text = text:sub(1, 1):upper() .. text:sub(2) end
    el.content = P.Inlines(P.Str(text))
  end
  return F.link(el, to)
end

-- A reference that opens a sentence begins with a capital; one that ends a
-- sentence or a parenthesis has room for the title ("see chapter 8, Traps").
local function inlines(all)
  local prev
  for i, el in ipairs(all) do
    if el.t == 'Link' then
      local after = all[i+1]
      all[i] = link(el, not prev or (prev.t == 'Str' and prev.text:match('[.?!]$')),
        not after or (after.t == 'Str' and after.text:match('^[.;:)?!]'))) or el
    end
    if el.t ~= 'Space' and el.t ~= 'SoftBreak' then prev = el end
  end
  return all
end

local rules = {
  Inlines = inlines,
  Code = quote,
  CodeBlock = code_block,
  Para = function(el)
    local im = el.content[1]
    if #el.content == 1 and im.t == 'Image' then return figure(im) end
    local name = #el.content == 1 and im.t == 'Code' and im.classes:includes('chunkname')
    if name and W.format == 'slides' then
      local c = D.shown[im.text]
      if c then return F.chunk_code(c) end
      if D.student then return {} end   -- part of a solution
    end
  end,
  Table = function(t)
    local id, n = t.attr.identifier, t.attr.attributes.number
    t.attr = P.Attr()
    return F.table(t, id ~= '' and id or nil, n)
  end,
  Header = function(h)
    local n = h.attributes.number
    h.attributes.number = nil
    return F.header(h, n)
  end,
  Span = function(s)
    local n = s.identifier:match('^exercise%-%w+%-(%d+)$')
    if n then return F.exercise(s, n) end
  end,
  Div = div,
}

function Pandoc(doc)
  local function meta(k) return P.utils.stringify(doc.meta['weave-' .. k]) end
  D = dofile(meta('data'))
  W.data, W.format, W.chunks = D, meta('format'), D.chunks
  W.topic, W.number, W.kind = D.topic, D.number, D.kind
  F = dofile(meta('module'))(W)
  local blocks = doc.blocks
  if W.format == 'slides' then
    blocks = P.Blocks {}
    doc.blocks:walk { Div = function(d) if d.classes:includes('slide') then blocks:insert(d) end end }
  end
  -- Twice, because Para wants to see its Code before that is a quote.
  blocks = P.Div(blocks):walk {
    Para = rules.Para, CodeBlock = rules.CodeBlock,
    Div = function(d)
      if W.format ~= 'slides' and (d.classes:includes('slide') or d.classes:includes('notes')) then return {} end
      if d.identifier:match('^tbl:') then
        for _, b in ipairs(d.content) do
          if b.t == 'Table' then b.attr = P.Attr(d.identifier, {}, { number = d.attributes.number }) end
        end
        return d.content
      end
    end,
  }:walk {
    Inlines = rules.Inlines, Code = rules.Code, Header = rules.Header, Span = rules.Span,
    Table = rules.Table, Div = rules.Div }.content
  return P.Pandoc(blocks, {})
end
