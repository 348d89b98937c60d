# noweb filter: give every chunk that is used, but not defined, an empty body.
# This is how the first chapters of the book stand alone: an extension point
# whose chapters are still to come is empty.

/^@quote$/    { quoted = 1 }
/^@endquote$/ { quoted = 0 }
/^@defn /     { defined[substr($0, 7)] = 1 }
/^@use / && !quoted { used[substr($0, 6)] = 1 }
{ print }

END {
	n = 1000000
	for (name in used)
		if (!(name in defined))
			printf "@begin code %d\n@defn %s\n@nl\n@end code %d\n", ++n, name, n
}
