/* Guests made on whichever of two processors can, and landing on both. */
#define GUESTS	6
#define TRIES	40
#include "gradeland.c"
