// What generated code uses of Catapult's SCVerify, outside of it.
#define CCS_MAIN(...) int main(__VA_ARGS__)
#define CCS_DESIGN(function) function
#define CCS_RETURN(code) return code
