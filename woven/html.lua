-- The leaves of a page in HTML (html, epub, slides); render.lua says what each is.
-- The markup is short, since a page holds thousands of these: what CSS can tell
-- from where an element stands needs no class.

return function(W)
local P = pandoc
local M = {}
local raw = function(s) return P.RawBlock('html', s) end
local rawin = function(s) return P.RawInline('html', s) end
local EXT = W.format == 'epub' and '.xhtml' or '.html'

local entity = { ['&'] = '&amp;', ['<'] = '&lt;', ['>'] = '&gt;', ['"'] = '&quot;' }
local function esc(s) return (s:gsub('[&<>"]', entity)) end
local function text(s) return (s:gsub('[&<>]', entity)) end

-- ------------------------------------------------------------------ links

local function url(to)
  return (to.topic == W.topic and '' or to.topic .. EXT) .. '#' .. to.id
end

local function number(to) return ('<a href="%s">%s</a>'):format(url(to), to.number) end

local function numbers(places)
  local o = {}
  for i, to in ipairs(places) do o[i] = number(to) end
  return table.concat(o, ', ')
end

local function name_html(name)
  local o = {}
  for i, piece in ipairs(W.name(name)) do
    o[i] = piece[2] and '<code>' .. text(piece[1]) .. '</code>' or text(piece[1])
  end
  return table.concat(o)
end

local function reference(name, to)
  if not to then
    return ('<span class="ref"%s>⟨%s⟩</span>'):format(
      W.data.student and '' or ' title="Later chapters add here"', name_html(name))
  end
  return ('<a class="ref" href="%s">⟨%s <small>%s</small>⟩</a>'):format(url(to), name_html(name), to.number)
end

function M.chunk_reference(name, to) return rawin(reference(name, to)) end

function M.code(pieces)
  local o = {}
  for i, p in ipairs(pieces) do
    local s = text(p[1])
    o[i] = p[2] and ('<a href="%s">%s</a>'):format(url(p[2]), s) or s
  end
  return rawin('<code>' .. table.concat(o) .. '</code>')
end

function M.link(el, to)
  if to.id:match('^ch:') and to.topic ~= W.topic then el.target = to.topic .. EXT
  else el.target = url(to) end
  return el
end

-- ------------------------------------------------------------------ code

-- Attributes of a <pre>: what scrolls sideways on a phone and holds no link must
-- be reachable by keyboard to be scrolled.
local function scrolls(lines, linked)
  if not linked then
    for _, line in ipairs(lines) do
      if (utf8.len((line:gsub('\t', '        '))) or 0) > 40 then return ' tabindex="0"' end
    end
  end
  return ''
end

local function code_html(c)
  local lines, plain, linked = {}, {}, false
  for i, line in ipairs(c.lines) do
    local o = {}
    for j, t in ipairs(line) do
      if type(t) == 'string' then o[j] = text(t)
      elseif t.ref then o[j] = reference(t.ref, t.to); linked = linked or t.to
      elseif t.to then
        local kind = t[1] ~= '' and ('class="%s" '):format(t[1]) or ''
        o[j] = ('<a %shref="%s">%s</a>'):format(kind, url(t.to), text(t[2]))
        linked = true
      elseif t.def then o[j] = ('<dfn id="%s">%s</dfn>'):format(t.def, text(t[2]))
      elseif t[1] == '' then o[j] = text(t[2])
      else o[j] = ('<i class="%s">%s</i>'):format(t[1], text(t[2])) end
    end
    lines[i], plain[i] = table.concat(o), W.plain(line)
  end
  local kind = W.format == 'slides' and '' or scrolls(plain, linked)
  return ('<pre class="code"%s><code>%s</code></pre>'):format(kind, table.concat(lines, '\n'))
end

-- "kern/page.c in page_init, kern/vm.c": where the code lands; each file leads to
-- the first line of the chunk on the file's own page.
local function lands(c)
  local o = {}
  for i, f in ipairs(c.files) do
    if i > 3 then o[#o+1] = '…'; break end
    local s = '<code>' .. text(f) .. '</code>'
    if W.format == 'html' and #c.lines > 0 and not c.apart then
      s = ('<a href="file-%s.html#%s">%s</a>'):format(
        f:gsub('[/.]', '-'), c.id, c.file and 'the file' or s)
    elseif c.file then return '' end
    o[#o+1] = s
  end
  local s = table.concat(o, ', ')
  if #c.within > 0 and #c.within < 4 then
    local w = {}
    for i, name in ipairs(c.within) do w[i] = '<code>' .. text(name) .. '</code>' end
    s = s .. ' in ' .. table.concat(w, ', ')
  end
  return s ~= '' and '<span>' .. s .. '</span>' or ''
end

function M.chunk_code(c)
  local o = {}
  for i, part in ipairs(c.parts or { c }) do
    o[i] = ('<figure class="chunk"><figcaption><b>⟨%s <small>%s</small>⟩</b>%s</figcaption>%s</figure>'):format(
      name_html(part.name), part.number, lands(part), code_html(part))
  end
  return raw(table.concat(o, '\n'))
end

local MANY = 8                          -- more uses than this: point at the index

-- The page of the index on which a word stands.
local function index_page(word)
  local letter = word:match('^%a')
  return 'identifiers-' .. (letter and letter:lower() or 'other') .. EXT
end

local function defines(c)
  local o = {}
  for _, d in ipairs(c.defines) do
    if not d.member then
      local s = ('<a href="%s#i-%s"><code>%s</code></a>'):format(index_page(d.word), d.word, d.word)
      if #c.defines > MANY then         -- a table of names: the index has the rest
      elseif #d.uses > MANY then s = s .. (' (used in %d chunks)'):format(#d.uses)
      elseif #d.uses > 0 then s = s .. ' (used in ' .. numbers(d.uses) .. ')' end
      o[#o+1] = s
    end
  end
  return table.concat(o, ', ')
end

function M.chunk(c)
  local flow, foot = {}, {}
  if c.previous then flow[1] = ('<a href="%s" aria-label="continues %s">◁ %s</a>'):format(url(c.previous), c.previous.number, c.previous.number) end
  if c.next then flow[#flow+1] = ('<a href="%s" aria-label="goes on in %s">%s ▷</a>'):format(url(c.next), c.next.number, c.next.number) end
  local function add(what, items) if items ~= '' then foot[#foot+1] = what .. items .. '.' end end
  if c.exercise then foot[#foot+1] = W.data.student and 'What you start from.' or 'What the student starts from.' end
  -- The part before it, in the same chapter, has said so.
  if not (c.previous and c.previous.topic == c.topic) then add('Used in ', numbers(c.used)) end
  if #c.rest > 1 then add('Goes on in ', numbers(c.rest)) end
  add('Defines ', defines(c))
  return raw(('<figure class="chunk" id="%s">\n<figcaption><b%s><a href="#%s">⟨%s <small>%s</small>⟩</a></b>%s%s</figcaption>\n%s%s</figure>'):format(
    c.id, c.continued and ' class="more"' or '', c.id, name_html(c.name), c.number, lands(c),
    #flow > 0 and '<i>' .. table.concat(flow, ' ') .. '</i>' or '',
    code_html(c), #foot > 0 and '\n<p>' .. table.concat(foot, ' ') .. '</p>\n' or '\n'))
end

function M.transcript(t)
  local say, lines, plain = {}, {}, {}
  if t.command then say[1] = '<code>' .. text(t.command) .. '</code>' end
  local upto = (t.tree or ''):match('^upto%-(.+)$')
  if upto then
    say[#say+1] = ('in <code>tangle/upto-%s</code>, the book up to chapter %s'):format(text(upto), text((upto:gsub('^0', ''))))
  elseif t.tree then say[#say+1] = 'in <code>tangle/' .. text(t.tree) .. '</code>' end
  if t.change then
    local c = t.change
    say[#say+1] = ('%s<code>%s</code> in <code>%s</code>'):format(
      c.new ~= '' and '<code>' .. text(c.new) .. '</code> in place of ' or 'without ', text(c.old), text(c.file))
  end
  for i, l in ipairs(t.lines) do
    plain[i] = l[1] .. (l[2] or '')
    lines[i] = text(l[1]) .. (l[2] and '<kbd>' .. text(l[2]) .. '</kbd>' or '')
  end
  return raw(('<figure class="transcript">%s<pre%s><samp>%s</samp></pre></figure>'):format(
    #say > 0 and '<figcaption>' .. table.concat(say, ', ') .. '</figcaption>' or '',
    scrolls(plain, false), table.concat(lines, '\n')))
end

-- ------------------------------------------------------------------ figures and boxes

function M.figure(f)
  local width = W.data.figures[f.file] or 600
  local caption = P.Inlines {}
  if f.number then caption:extend { P.Strong { P.Str('Figure ' .. f.number .. '.') }, P.Space() } end
  caption:extend(f.caption)
  return {
    raw(('<figure class="figure"%s><div class="scroll"><img src="figures/%s" alt="%s" width="%d" style="--natural:%dpx" /></div><figcaption>'):format(
      f.id ~= '' and ' id="' .. esc(f.id) .. '"' or '', esc(f.file), esc(f.alt), width, width)),
    P.Plain(caption), raw('</figcaption></figure>') }
end

function M.manual_box(b)
  local heads = {}
  for i, s in ipairs(b.sections) do
    heads[i] = ('<a href="%s">%s</a>'):format(esc(url(s.to)), text(s.text))
  end
  return { raw(('<div class="box manual" id="%s" role="note"><p class="box-head"><span class="box-kind">Manual</span> %s</p>'):format(
    b.id, table.concat(heads, '; '))), P.Div(b.content), raw('</div>') }
end

function M.answer(a)
  if not a.number then
    return { raw('<details class="answer"><summary>Answer</summary>'), P.Div(a.content), raw('</details>') }
  end
  local id = ('answer-%s-%s'):format(W.number, a.number)
  return { raw(('<details class="answer" id="%s"><summary>Answer to exercise %s</summary>'):format(id, a.number)),
    P.Div(a.content), raw(('<p class="all"><a href="F-answers%s#%s">All answers</a></p></details>'):format(EXT, id)) }
end

function M.solution(content)
  return { raw('<div class="box solution"><p class="box-head"><span class="box-kind">Solution</span></p>'),
    P.Div(content), raw('</div>') }
end

function M.table(t, id, n)
  local o = P.Blocks { raw(id and ('<div class="scroll table" id="%s">'):format(esc(id)) or '<div class="scroll table">') }
  if n then
    local long = t.caption.long
    if #long > 0 then
      long[1].content:insert(1, P.Space())
      long[1].content:insert(1, P.Strong { P.Str('Table ' .. n .. '.') })
    end
  end
  o:insert(t)
  o:insert(raw('</div>'))
  return o
end

function M.header(h, n)
  if h.level == 1 and W.format ~= 'slides' then
    local kind = W.kind:gsub('^%l', string.upper)
    h.content:insert(1, rawin(n and ('<span class="chapter">%s %s</span> '):format(kind, n) or ''))
  elseif n then h.content:insert(1, rawin('<span class="number">' .. n .. '</span> ')) end
  return h
end

function M.exercise(el) return el end

return M
end
