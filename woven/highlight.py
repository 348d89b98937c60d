"""Code as tokens: what is a keyword, a type, a number, a string, a comment.

A chunk is too short for a parser and begins in the middle of a function, so each
language is a list of patterns, tried in order at each place. What no pattern
takes is plain. The token classes are pandoc's: kw keyword, dt type, dv number,
st string, ch character, co comment, pp preprocessor, im what is included, va
variable or register, fu label or target.
"""

import re

C_TYPES = """void bool char short int long float double signed unsigned size_t ssize_t off_t
    uintptr_t intptr_t physaddr_t pte_t pde_t pdpe_t pml4e_t envid_t gpa_t hva_t epte_t va_list
    uint8_t uint16_t uint32_t uint64_t int8_t int16_t int32_t int64_t struct union enum static
    extern const volatile inline register typedef _Noreturn __volatile"""
C_WORDS = """if else for while do switch case default break continue return goto sizeof
    asm __asm __attribute__ static_assert _Static_assert typeof offsetof"""
LD_WORDS = """SECTIONS ENTRY PROVIDE ASSERT AT OUTPUT_FORMAT OUTPUT_ARCH KEEP ALIGN BYTE QUAD LONG
    PHDRS FLAGS SIZEOF ADDR LOADADDR MEMORY"""
PYTHON_WORDS = """def class return if elif else for while in not and or import from as with try
    except finally raise pass break continue lambda yield assert None True False is global"""
SHELL_WORDS = "if then else elif fi for in do done while case esac function return exit set local"
MAKE_WORDS = "include ifeq ifneq ifdef ifndef else endif define endef export override"

WORD = ("", r"[A-Za-z_]\w*")
COMMENT = r"/\*.*?(?:\*/|\Z)"
STRING = r'"(?:\\.|[^"\\\n])*"?'
NUMBER = r"\b\d[\w.]*"
MEMBER = re.compile(r"(?:\.|->)\s*$")
FIRST = 0xE000                  # references are private signs while patterns look
REFS = re.compile("([\ue000-\uf8ff])")


def language(patterns, **words):
    """One pattern of all, the class of each group, and what some words are."""
    pattern = re.compile("|".join(f"({p})" for _, p in patterns), re.M | re.S)
    return pattern, [kind for kind, _ in patterns], \
        {word: kind for kind, text in words.items() for word in text.split()}


LANGUAGES = {
    "c": language([
        WORD, ("co", COMMENT + r"|//[^\n]*"), ("st", STRING), ("ch", r"'(?:\\.[0-7]*|[^'\\\n])+'"),
        ("im", r'(?<=include)[ \t]+(?:<[^>\n]*>|"[^"\n]*")'), ("pp", r"#[ \t]*[a-z]+"),
        ("dv", NUMBER)], kw=C_WORDS, dt=C_TYPES),
    "gas": language([
        ("kw", r"(?:^|(?<=[;:]))[ \t]*[a-z]\w*(?=[\s;]|\Z)(?![ \t]*=)"), ("co", COMMENT + r"|//[^\n]*"),
        ("im", r'(?<=include)[ \t]+<[^>\n]*>'),
        ("pp", r"^[ \t]*#[ \t]*(?:include|define|if|ifdef|ifndef|elif|else|endif|undef|error)\b"),
        ("co", r"\#[^\n]*"), ("st", STRING), ("ch", r"'(?:\\.|[^'\\\n])'?"),
        ("fu", r"^[ \t]*(?:[A-Za-z_.$][\w.$]*|\d+)(?=:)"), ("va", r"%[a-z]\w*"),
        ("dt", r"\.[a-z]\w*\b"), ("dv", NUMBER), WORD]),
    "ld": language([WORD, ("co", COMMENT), ("st", STRING), ("dv", NUMBER)], kw=LD_WORDS),
    "makefile": language([
        ("co", r"\#[^\n]*"), ("va", r"\$[@<^*+%?]|\$\$\w*|^[A-Za-z_]\w*(?=\s*[:?+]?=)"),
        ("fu", r"^[^\s:=#$][^:=\n#$]*(?=:(?!=))"), ("st", STRING), WORD], kw=MAKE_WORDS),
    "python": language([
        WORD, ("st", r'"""(?:.*?)(?:"""|\Z)|' + STRING + r"|'(?:\\.|[^'\\\n])*'"),
        ("co", r"\#[^\n]*"), ("dv", NUMBER)], kw=PYTHON_WORDS),
    "bash": language([
        WORD, ("co", r"(?:^|(?<=\s))\#[^\n]*"), ("st", STRING + r"|'[^']*'"),
        ("va", r"\$\w+|\$\{[^}\n]*\}")], kw=SHELL_WORDS),
    "": language([WORD]),
}


def tokens(lines, lang):
    """The tokens of a chunk, line by line: (class, text, member), or a Ref.

    `lines` are lists of str and Ref. Words that may have a definition come as
    tokens of their own, of class ""; other plain text has class None.
    """
    pattern, kinds, words = LANGUAGES[lang]
    refs = [p for l in lines for p in l if not isinstance(p, str)]
    count = iter(range(FIRST, FIRST + len(refs)))
    source = "\n".join("".join(p if isinstance(p, str) else chr(next(count)) for p in l)
                       for l in lines)
    out = [[]]

    def put(kind, text):
        for i, part in enumerate(text.split("\n")):
            if i:
                out.append([])
            for j, piece in enumerate(REFS.split(part) if part else ()):
                if j % 2:
                    out[-1].append(refs[ord(piece) - FIRST])
                elif piece:
                    out[-1].append((kind, piece, False))

    at = 0
    for match in pattern.finditer(source):
        start, end = match.span()
        kind, text = kinds[match.lastindex - 1], match[0]
        if text[0] in " \t":            # blanks before an instruction or a target
            text = text.lstrip()
            start = end - len(text)
        if start > at:
            put(None, source[at:start])
        if kind == "":
            kind = words.get(text, "")
            out[-1].append((kind, text, start > 0 and source[start - 1] in ".> \t"
                            and bool(MEMBER.search(source, max(0, start - 4), start))))
        else:
            put(kind, text)
        at = end
    put(None, source[at:])
    return out
