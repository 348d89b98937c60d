# Print the doors of the makefiles: their `name: … ## what it does` lines,
# and the lines `## ` alone, which head a group or explain a variable.

/^## / { print ""; print substr($0, 4); next }
/^##   / { print substr($0, 3); next }
/^[a-zA-Z][^:=]*:.*## / {
	doors = $0
	sub(/:.*/, "", doors)
	what = $0
	sub(/^.*## /, "", what)
	printf "  make %-16s %s\n", doors, what
}
