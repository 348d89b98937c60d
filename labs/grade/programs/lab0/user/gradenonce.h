#define GRADE_NONCE "0"
