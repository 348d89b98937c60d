-- The leaves of the book as LaTeX, for render.lua: what book.tex has macros for.
--
-- Places become keys, topic/id: \A{key} marks one, \G{key}{…} leads to it, \P{key}
-- is its page. Code is set line by line, \K{…}, in which only \ { } mean
-- something, so that 17,000 lines cost seconds and not minutes.

local P = pandoc

return function(W)
  local F = {}
  local raw = function(s) return P.RawBlock('latex', s) end
  local rawin = function(s) return P.RawInline('latex', s) end

  local special = { ['\\'] = '\\textbackslash{}', ['{'] = '\\{', ['}'] = '\\}', ['#'] = '\\#', ['$'] = '\\$',
    ['%'] = '\\%', ['&'] = '\\&', ['_'] = '\\_', ['^'] = '\\^{}', ['~'] = '\\~{}',
    ['`'] = '\\textasciigrave{}', ["'"] = "'", ['"'] = '\\textquotedbl{}' }
  local function esc(s) return (s:gsub('[\\{}#$%%&_^~`"]', special)) end
  local mono = setmetatable({ ["'"] = '\\textquotesingle{}' }, { __index = special })
  local function key(topic, id) return topic .. '/' .. id end
  local function here(id) return key(W.topic, id) end
  local function at(place) return key(place.topic, place.id) end
  local function write(blocks)
    return (P.write(P.Pandoc(blocks), 'latex', P.WriterOptions { wrap_text = 'wrap-none' }):gsub('%s+$', ''))
  end

  -- Code inside a line of prose: long words may be broken after a sign.
  local function words(s)
    local o, n = {}, utf8.len(s) or #s
    for i, c in utf8.codes(s) do
      c = utf8.char(c)
      o[#o+1] = c == ' ' and '\\ ' or mono[c] or c
      if n > 12 and i > 2 and i < #s - 2 and c:match('[%_/.,(=|:>-]') and s:sub(i + 1, i + 1):match('[%w<*&]') then
        o[#o+1] = '\\B{}'
      end
    end
    return table.concat(o)
  end
  local function code(s) return '\\Q{' .. words(s) .. '}' end

  -- A chunk's name, in prose and headers.
  local function name(s)
    local o = {}
    for _, piece in ipairs(W.name(s)) do o[#o+1] = piece[2] and code(piece[1]) or esc(piece[1]) end
    return table.concat(o)
  end

  -- "5.12, page 88"
  local function paged(place)
    return ('\\N{%s}{%s}'):format(at(place), place.number)
  end
  local function list(places)
    local o = {}
    for i, p in ipairs(places) do o[i] = paged(p) end
    return table.concat(o, '; ')
  end

  -- ---------------------------------------------------------------- code

  local inside = { ['\\'] = '\\\\', ['{'] = '\\{', ['}'] = '\\}' }
  local colour = { kw = 'k', dt = 'k', pp = 'k', co = 'c', st = 's', ch = 's', im = 's' }

  local WIDTH = 81                      -- columns that fit

  -- The tokens of a line; tabs end at the columns that they have in an editor.
  local function line(tokens)
    local o, column = {}, 0
    local function text(s)
      s = s:gsub('[^\t]*\t?', function(run)
        local plain = run:gsub('\t$', '')
        column = column + (utf8.len(plain) or #plain)
        if plain ~= run then
          local blanks = 8 - column % 8
          column = column + blanks
          plain = plain .. (' '):rep(blanks)
        end
        return plain
      end)
      return (s:gsub('[\\{}]', inside))
    end
    for _, t in ipairs(tokens) do
      if type(t) == 'string' then o[#o+1] = text(t)
      elseif t.ref then
        column = column + #t.ref * 7 // 8
        o[#o+1] = t.to and ('\\R{%s}{%s}{%s}'):format(at(t.to), name(t.ref), t.to.number)
          or ('\\O{%s}'):format(name(t.ref))
      else
        local s = text(t[2])
        if t.to then s = ('\\I{%s}{%s}'):format(at(t.to), s)
        elseif t.def then s = ('\\D{%s}{%s}'):format(here(t.def), s) end
        local c = colour[t[1]]
        o[#o+1] = c and ('\\%s{%s}'):format(c, s) or s
      end
    end
    local s = table.concat(o):gsub(' +$', '')
    return column > WIDTH and ('\\W{%.3f}{%s}'):format(WIDTH / column, s) or s
  end

  -- Five lines or fewer stay on one page; of more, two at each end.
  local function code_lines(lines)
    local o, n = {}, #lines
    while n > 0 and #lines[n] == 0 do n = n - 1 end
    for i = 1, n do
      local keep = i < n and (n <= 5 or i == 1 or i == n - 1)
      o[i] = (keep and '\\KN{' or '\\K{') .. line(lines[i]) .. '}'
    end
    return table.concat(o, '\n')
  end

  local SOME = 4                        -- more uses than this: the index has them

  local function defines(c)
    local o = {}
    for _, d in ipairs(c.defines) do
      if not d.member then
        local s = ('\\Q{%s}'):format(words(d.word))
        if #c.defines <= SOME and #d.uses > 0 and #d.uses <= SOME then s = s .. ' (used in ' .. list(d.uses) .. ')' end
        o[#o+1] = s
      end
    end
    return table.concat(o, ', ')
  end

  function F.chunk(c)
    local place, foot = {}, {}
    if not c.file then
      for i, f in ipairs(c.files) do
        if i > 2 then place[#place+1] = '…'; break end
        place[#place+1] = code(f)
      end
    end
    local where = table.concat(place, ', ')
    local within = {}
    for i, f in ipairs(c.within or {}) do
      if i > 2 then within[#within+1] = '…'; break end
      within[#within+1] = code(f)
    end
    if #within > 0 then where = where .. ', in ' .. table.concat(within, ', ') end
    if c.exercise then foot[#foot+1] = W.data.student and 'What you start from.' or 'What the student starts from.' end
    if c.previous then foot[#foot+1] = 'Continues ' .. paged(c.previous) .. '.' end
    local used = {}
    for i, u in ipairs(c.used) do
      if i > 8 then used[#used+1] = '…'; break end
      used[#used+1] = paged(u)
    end
    if #used > 0 and not (c.previous and c.previous.topic == c.topic) then
      foot[#foot+1] = (#used > 1 and 'Used in chunks ' or 'Used in chunk ') .. table.concat(used, '; ') .. '.'
    end
    if c.next then foot[#foot+1] = 'Continued in ' .. paged(c.next) .. '.' end
    local defs = defines(c)
    if defs ~= '' then foot[#foot+1] = 'Defines ' .. defs .. '.' end
    return raw(('\\Chunk{%s}{%s}{%s}{%s}{%s}\n%s\n\\EndChunk{%s}'):format(here(c.id), c.number,
      c.file and code(c.name) or name(c.name), c.continued and '+' or '', where,
      code_lines(c.lines), table.concat(foot, ' ')))
  end

  function F.code_block(el)
    local lines = {}
    for l in (el.text .. '\n'):gmatch('([^\n]*)\n') do lines[#lines+1] = { l } end
    return raw('\\Listing\n' .. code_lines(lines) .. '\n\\EndListing')
  end

  function F.chunk_code(c) return raw('\\Listing\n' .. code_lines(c.lines) .. '\n\\EndListing') end

  function F.chunk_reference(text, to)
    return rawin(to and ('\\R{%s}{%s}{%s}'):format(at(to), name(text), to.number) or ('\\O{%s}'):format(name(text)))
  end

  function F.code(pieces)
    local o = {}
    for _, p in ipairs(pieces) do
      local s = words(p[1])
      o[#o+1] = p[2] and ('\\I{%s}{%s}'):format(at(p[2]), s) or s
    end
    return rawin('\\Q{' .. table.concat(o) .. '}')
  end

  function F.transcript(t)
    local say, lines = {}, {}
    if t.command then say[1] = code(t.command) end
    local upto = (t.tree or ''):match('^upto%-(.+)$')
    if upto then say[#say+1] = 'in ' .. code('tangle/upto-' .. upto) .. ', the book up to chapter ' .. upto:gsub('^0', '')
    elseif t.tree then say[#say+1] = 'in ' .. code('tangle/' .. t.tree) end
    if t.change then
      local c = t.change
      say[#say+1] = (c.new ~= '' and code(c.new) .. ' in place of ' or 'without ')
        .. code(c.old) .. ' in ' .. code(c.file)
    end
    for i, l in ipairs(t.lines) do
      local keep = i < #t.lines and (i == 1 or i == #t.lines - 1)
      lines[i] = ('\\%s{%s}'):format(keep and 'TN' or 'T', l[2]
        and line { l[1] } .. ' \\b{' .. line { l[2] } .. '}' or line { l[1] })
    end
    return raw(('\\Transcript{%s}\n%s\n\\EndTranscript'):format(table.concat(say, ', '), table.concat(lines, '\n')))
  end

  -- ---------------------------------------------------------------- figures, tables

  function F.figure(f)
    local file = f.file:gsub('%.svg$', '')
    local o = P.Inlines { rawin(('\\Figure{%s}{%s}{%s}{'):format(f.id ~= '' and here(f.id) or '', file,
      f.number and 'Figure ' .. f.number or '')) }
    o:extend(f.caption)
    o:insert(rawin('}'))
    return P.Plain(o)
  end

  local FULL = 74                       -- characters that fit into a line of a table

  local align = { AlignRight = 'r', AlignCenter = 'c' }

  -- A table: columns as wide as their text while the line has room for them,
  -- otherwise the wide ones share what the narrow ones leave.
  local function column_widths(natural, longest)
    local n, total = #natural, 0
    for _, w in ipairs(natural) do total = total + w end
    if total + 2 * n <= FULL then return nil end
    local left, open, widths = FULL - 2 * n, n, {}
    local again = true
    while again and open > 0 do
      again = false
      for i = 1, n do
        if not widths[i] and natural[i] <= left / open then
          widths[i] = natural[i]; left = left - natural[i]; open = open - 1; again = true
        end
      end
    end
    local sum = 0
    for i = 1, n do if not widths[i] then sum = sum + math.sqrt(natural[i]) end end
    for i = 1, n do
      if not widths[i] then widths[i] = math.max(longest[i], left * math.sqrt(natural[i]) / sum) end
    end
    return widths
  end

  function F.table(t, id, number, caption)
    local natural, longest, rows, heads = {}, {}, {}, {}
    local function cells(row, head)
      local o = {}
      for i, cell in ipairs(row.cells) do
        local tex = write(cell.contents)
        local text = P.utils.stringify(P.Div(cell.contents):walk { RawInline = function(r)
          local s = r.text:gsub('\\[IG]{[^}]*}', ''):gsub('\\R{[^}]*}(%b{})(%b{})', '%1%2##'):gsub('\\B{}', '')
            :gsub('\\%a+', ''):gsub('[{}\\]', '')
          return P.Str(s .. (r.text:match('^\\Q') and ('#'):rep(#s // 8) or ''))
        end })
        local bold = head and 1.1 or 1  -- how much wider than plain text
        natural[i] = math.max(natural[i] or 0, bold * (utf8.len(text) or #text))
        for w in text:gmatch('%S+') do longest[i] = math.max(longest[i] or 0, math.min(#w, 24)) end
        longest[i] = longest[i] or 0
        o[i] = head and tex ~= '' and '\\textbf{' .. tex .. '}' or tex
      end
      return table.concat(o, ' & ') .. ' \\\\'
    end
    for _, r in ipairs(t.head.rows) do heads[#heads+1] = cells(r, true) end
    for _, b in ipairs(t.bodies) do for _, r in ipairs(b.body) do rows[#rows+1] = cells(r) end end
    local widths, spec = column_widths(natural, longest), {}
    for i, c in ipairs(t.colspecs) do
      local a = align[tostring(c[1])] or 'l'
      spec[i] = not widths and a
        or ('>{%s}p{%.3f\\tablewidth}'):format(({ r = '\\Rr', c = '\\Rc', l = '\\Rl' })[a], (widths[i] or 0) / FULL)
    end
    local columns = '@{}' .. table.concat(spec) .. '@{}'
    local empty = true
    for _, h in ipairs(heads) do if h:match('%w') then empty = false end end
    local head = empty and '' or table.concat(heads, '\n') .. '\\midrule'
    local say = caption or (t.caption and t.caption.long and #t.caption.long > 0 and t.caption.long) or nil
    local title = say and #say > 0 and write(P.Blocks { P.Plain(P.utils.blocks_to_inlines(P.Blocks(say))) }) or ''
    if number then title = ('\\textbf{Table %s.} %s'):format(number, title) end
    if title ~= '' then title = ('\\TableTitle{%s}{%s}'):format(id and here(id) or '', title) end
    local body = table.concat(rows, '\n')
    if #rows <= 12 then
      return raw(('%s\\begin{ShortTable}{%s}\n%s\n%s\n\\end{ShortTable}'):format(title, columns, head, body))
    end
    return raw(('%s\\begin{LongTable}{%s}\n%s\\endhead\n%s\n\\end{LongTable}'):format(title, columns, head, body))
  end

  -- ---------------------------------------------------------------- boxes

  function F.manual_box(b)
    local heads = {}
    for i, s in ipairs(b.sections) do heads[i] = ('\\I{%s}{%s}'):format(at(s.to), esc(s.text)) end
    local o = P.Blocks { raw(('\\begin{Manual}{%s}{%s}'):format(here(b.id), table.concat(heads, '; '))) }
    o:extend(b.content)
    o:insert(raw('\\end{Manual}'))
    return o
  end

  function F.solution(content)
    local o = P.Blocks { raw('\\begin{Solution}') }
    o:extend(content)
    o:insert(raw('\\end{Solution}'))
    return o
  end

  -- An answer is set in the appendix: pdf.py moves what stands between the marks.
  function F.answer(a)
    if not a.number then return a.content end
    return raw(('\\AnswerAt{%s}\n%%<answer %s-%s\n%s\n%%>answer'):format(
      here(('answer-%s-%s'):format(W.number, a.number)), W.number, a.number, write(a.content)))
  end

  function F.exercise(el) return rawin(('\\Au{%s}'):format(here(el.identifier))) end

  -- ---------------------------------------------------------------- headers, links

  -- A string as PDF keeps it in bookmarks.
  local function pdf_string(s)
    local o = { 'FEFF' }
    for _, c in utf8.codes(s) do
      if c >= 0x10000 then
        c = c - 0x10000
        o[#o+1] = ('%04X%04X'):format(0xD800 + (c >> 10), 0xDC00 + (c & 0x3FF))
      else o[#o+1] = ('%04X'):format(c) end
    end
    return table.concat(o)
  end

  function F.header(h, number)
    local text = P.utils.stringify(h.content)
    local mark = pdf_string((number and number .. ' ' or '') .. text)
    local id = here(h.identifier)
    local macro = ({ '\\Chapter', '\\Section', '\\Subsection' })[h.level] or '\\Subsubsection'
    local kind = h.level == 1 and ('{%s}'):format(({ chapter = 'Chapter', appendix = 'Appendix' })[W.kind] or '') or ''
    local o = P.Inlines { rawin(('%s%s{%s}{%s}{%s}{'):format(macro, kind, id, mark, number or '')) }
    o:extend(h.content)
    o:insert(rawin('}'))
    return P.Plain(o)
  end

  function F.link(el, to)
    local o = P.Inlines { rawin(('\\G{%s}{'):format(key(to.topic, to.id))) }
    o:extend(el.content)
    o:insert(rawin('}'))
    return P.Span(o)
  end

  return F
end
