/* More guests than the public checks start. */
#define GUESTS	9
#define TRIES	1
#include "gradeland.c"
