/*
 * JOS's names for the C library's: the code of lib/ is compiled for the host
 * under these, beside the host's own library.
 */
#define off_t jos_off_t
#define ssize_t jos_ssize_t
#define strlen jos_strlen
#define strnlen jos_strnlen
#define strcpy jos_strcpy
#define strncpy jos_strncpy
#define strcat jos_strcat
#define strlcpy jos_strlcpy
#define strcmp jos_strcmp
#define strncmp jos_strncmp
#define strchr jos_strchr
#define strfind jos_strfind
#define memset jos_memset
#define memcpy jos_memcpy
#define memmove jos_memmove
#define memcmp jos_memcmp
#define memfind jos_memfind
#define strtol jos_strtol
#define cputchar jos_cputchar
#define getchar jos_getchar
#define iscons jos_iscons
#define printfmt jos_printfmt
#define vprintfmt jos_vprintfmt
#define snprintf jos_snprintf
#define vsnprintf jos_vsnprintf
#define cprintf jos_cprintf
#define vcprintf jos_vcprintf
#define printf jos_printf
#define fprintf jos_fprintf
#define vfprintf jos_vfprintf
#define readline jos_readline
