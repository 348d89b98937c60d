# noweb filter: choose between solutions and exercises.
#   <<name>> is the solution, <<name (exercise 2)>> is its stub in lab 2.
# With no lab, every stub goes. With -v lab=N, a solution that has a stub for
# lab N or a later one gives way to it (to the earliest of them).
# A chunk that goes becomes documentation of as many lines, so that the line
# numbers of the rest stay right.

function solution(name) { sub(/ \(exercise [0-9]+\)$/, "", name); return name }
function exercise(name) {
	if (!match(name, / \(exercise [0-9]+\)$/))
		return ""
	return substr(name, RSTART + 11, RLENGTH - 12) + 0
}

{ line[NR] = $0 }

/^@defn / && lab != "" {
	name = substr($0, 7)
	n = exercise(name)
	base = solution(name)
	if (n != "" && n >= lab + 0 && (!(base in stub) || n < stub[base]))
		stub[base] = n
}

END {
	for (i = 1; i <= NR; i++) {
		if (line[i] ~ /^@begin code/ && line[i + 1] ~ /^@defn /) {
			name = substr(line[i + 1], 7)
			base = solution(name)
			chosen = (base in stub) ? stub[base] : ""
			drop = (exercise(name) != chosen)
			if (!drop)
				line[i + 1] = "@defn " base
		}
		if (!drop)
			print line[i]
		else if (line[i] ~ /^@(begin|end) code/) {
			sub(/code/, "docs", line[i])
			print line[i]
			if (line[i] ~ /^@end/)
				drop = 0
		} else if (line[i] == "@nl")
			print "@nl"
	}
}
