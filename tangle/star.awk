# noweb filter: ask mnt for #line in C and assembly, and only there (a star at
# the end of the name), and call the chapters as they are seen from the tree.
#   -v chapters=../../chapters

/^@(defn|use) [^ ]+\.[chS]$/ { print $0 "*"; next }
/^@file / { sub(/^.*\//, ""); print "@file " chapters "/" $0; next }
{ print }
