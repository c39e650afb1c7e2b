//! Functions of other libraries that never come back.

/// Whether calling the imported function `name` never returns.
pub(super) fn never_returns(name: &[u8]) -> bool {
    NAMES.binary_search(&name).is_ok() || throws(name)
}

/// libstdc++'s and libc++'s helpers `std::__throw_...`, whose mangled names put a length before the word.
fn throws(name: &[u8]) -> bool {
    let Some(rest) = name
        .strip_prefix(b"_ZSt")
        .or_else(|| name.strip_prefix(b"_ZNSt3__1"))
    else {
        return false;
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && rest[digits..].starts_with(b"__throw_")
}

/// C, POSIX, glibc, the unwinder and Windows, in ascending order of bytes.
const NAMES: [&[u8]; 47] = [
    b"ExitProcess",
    b"ExitThread",
    b"RaiseFailFastException",
    b"RtlFailFast",
    b"_Exit",
    b"_Unwind_Resume",
    b"_ZSt10unexpectedv",
    b"_ZSt9terminatev",
    b"__assert",
    b"__assert2",
    b"__assert_fail",
    b"__assert_perror_fail",
    b"__assert_rtn",
    b"__chk_fail",
    b"__cxa_bad_cast",
    b"__cxa_bad_typeid",
    b"__cxa_call_unexpected",
    b"__cxa_deleted_virtual",
    b"__cxa_pure_virtual",
    b"__cxa_rethrow",
    b"__cxa_throw",
    b"__cxa_throw_bad_array_new_length",
    b"__fortify_fail",
    b"__libc_start_main",
    b"__longjmp_chk",
    b"__stack_chk_fail",
    b"__stack_smash_handler",
    b"_exit",
    b"_longjmp",
    b"abort",
    b"err",
    b"errx",
    b"exit",
    b"g_abort",
    b"g_assertion_message",
    b"g_assertion_message_cmpnum",
    b"g_assertion_message_cmpstr",
    b"g_assertion_message_error",
    b"g_assertion_message_expr",
    b"longjmp",
    b"pthread_exit",
    b"quick_exit",
    b"siglongjmp",
    b"terminate",
    b"thrd_exit",
    b"verr",
    b"verrx",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_for_the_search() {
        assert!(NAMES.is_sorted());
        assert!(never_returns(b"abort") && never_returns(b"__stack_chk_fail"));
        assert!(never_returns(b"_ZSt20__throw_length_errorPKc"));
        assert!(!never_returns(b"malloc") && !never_returns(b"_ZSt4cout"));
    }
}
