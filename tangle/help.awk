# Print the doors of the makefiles: their lines `name: … ## what it does`,
# `## heading of a group`, and `#= NAME=…  a variable`.

/^## / { print "\n" substr($0, 4) }
/^#= / { print "  " substr($0, 4) }
/^[a-zA-Z][^:=]*:.*## / {
	door = what = $0
	sub(/:.*/, "", door)
	sub(/^.*## /, "", what)
	printf "  make %-14s %s\n", door, what
}
