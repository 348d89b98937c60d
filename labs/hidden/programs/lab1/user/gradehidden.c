/* Other made-up processors. */
#define MODELS <inc/gradehidden.h>
#include "grademodels.c"
