@HEADING@;
; Build:  nasm -f elf64 -o repro.o THIS_FILE.asm && ld -o repro repro.o
; Run:    ./repro, or the emulator with ./repro as its argument
; Exit code 0: as expected; 1: not as expected; 2: it could not be tried.
bits 64
default rel
global _start

; Registers before (repro_start) and after (repro_end): general registers in encoding order, RFLAGS, how it ended (0: it
; went on, 1: a signal), the signal, RIP, the fault's address, FS and GS base, RFLAGS in the signal's frame; at 0x100 what
; FXSAVE64 stores; at 0x300 ZMM0 to 31, at 0xb00 k0 to 7.
FLAGS equ 0x80
KIND equ 0x88
SIGNAL equ 0x90
RIP equ 0x98
ADDRESS equ 0xa0
FRAME_FLAGS equ 0xb8

section .text
@ROUTINE@
_start:
    ; Pages, writable at first; then their bytes; then their protection.
    lea rbx, [rel pages]
.map:
    cmp rbx, pages.end
    jae .fill
    mov rdi, [rbx]
    mov rsi, [rbx + 8]
    mov edx, 3
    ; Shared, as if there were threads: some emulators translate locked instructions otherwise when nothing is.
    mov r10d, 0x100021                  ; shared, anonymous, exactly there
    mov r8, -1
    xor r9d, r9d
    mov eax, 9                          ; mmap
    syscall
    cmp rax, [rbx]
    jne cannot
    add rbx, 24
    jmp .map
.fill:
    lea rbx, [rel pieces]
.next:
    cmp rbx, pieces.end
    jae .protect
    mov rdi, [rbx]
    mov rcx, [rbx + 8]
    mov rsi, [rbx + 16]
    rep movsb
    add rbx, 24
    jmp .next
.protect:
    lea rbx, [rel pages]
.change:
    cmp rbx, pages.end
    jae .signals
    mov rdi, [rbx]
    mov rsi, [rbx + 8]
    mov rdx, [rbx + 16]
    mov eax, 10                         ; mprotect
    syscall
    add rbx, 24
    jmp .change
.signals:
    mov eax, 131                        ; sigaltstack
    lea rdi, [rel alternate]
    xor esi, esi
    syscall
    lea rbx, [rel signals]
.action:
    movzx edi, byte [rbx]
    test edi, edi
    jz .run
    lea rsi, [rel action]
    xor edx, edx
    mov r10d, 8
    mov eax, 13                         ; rt_sigaction
    syscall
    inc rbx
    jmp .action
.run:
    mov edi, 20
    mov eax, 37                         ; alarm
    syscall
    call repro_run

    ; Where it ended.
    mov rax, [rel repro_end + RIP]
    cmp qword [rel repro_end + KIND], 0
    jne .signal
    lea rcx, [rel targets]
    mov rax, [rcx + 8 * rax]
    mov qword [rel repro_end + SIGNAL], 0
    jmp .ended
.signal:
    mov rcx, [rel repro_end + FRAME_FLAGS]
    mov [rel repro_end + FLAGS], rcx
    mov rdx, @CODE@ + @STUBS@
    mov rcx, rax
    sub rcx, rdx
    cmp rcx, @STUBS_SIZE@
    jae .indirect
    cmp qword [rel repro_end + SIGNAL], 5
    jne .ended
    ; TF traps in the jump out of the block.
    xor eax, eax
    cmp rcx, 14
    setae al
    lea rcx, [rel targets]
    mov rax, [rcx + 8 * rax]
    jmp .ended
.indirect:
    mov ecx, @INDIRECT@
    jrcxz .ended
    cmp qword [rel repro_end + SIGNAL], 11
    jne .ended
    cmp rax, [rel repro_end + ADDRESS]
    jne .ended
    mov rdx, @CODE@
    mov rcx, rax
    sub rcx, rdx
    cmp rcx, @STUBS@
    jb .ended
    ; The jump was made, and nothing is mapped where it led.
    mov qword [rel repro_end + KIND], 0
    mov qword [rel repro_end + SIGNAL], 0
.ended:
    mov [rel repro_end + RIP], rax

    ; Each value against what is expected.
    xor r12d, r12d
    lea rbx, [rel checks]
.check:
    cmp rbx, checks.end
    jae .verdict
    mov rax, [rbx]
    mov r13, [rax]
    and r13, [rbx + 8]
    lea rsi, [rel good]
    cmp r13, [rbx + 16]
    je .say
    mov r12d, 1
    lea rsi, [rel bad]
.say:
    call print
    mov rsi, [rbx + 24]
    call print
    lea rsi, [rel expected]
    call print
    mov rax, [rbx + 16]
    call print_number
    lea rsi, [rel result]
    call print
    mov rax, r13
    call print_number
    lea rsi, [rel newline]
    call print
    add rbx, 32
    jmp .check
.verdict:
    mov edi, r12d
    mov eax, 231                        ; exit_group
    syscall

cannot:
    lea rsi, [rel unmapped]
    call print
    mov edi, 2
    mov eax, 231
    syscall

; Writes the text at RSI, up to its zero.
print:
    xor edx, edx
.length:
    cmp byte [rsi + rdx], 0
    je .write
    inc edx
    jmp .length
.write:
    mov edi, 1
    mov eax, 1
    syscall
    ret

; Writes RAX as hexadecimal digits.
print_number:
    lea rdi, [rel digits + 2]
    mov ecx, 16
.digit:
    rol rax, 4
    mov edx, eax
    and edx, 15
    cmp edx, 10
    jb .decimal
    add edx, 'a' - '0' - 10
.decimal:
    add edx, '0'
    mov [rdi], dl
    inc rdi
    dec ecx
    jnz .digit
    lea rsi, [rel digits]
    jmp print

restorer:
    mov eax, 15                         ; rt_sigreturn
    syscall

section .data
align 64
repro_start:
@START@repro_code_address: dq @CODE@
repro_mxcsr: dd 0x1f80
@ENVIRONMENT@
; The block, and jumps out of it that touch no register, flag or stack.
code:
@BYTES@.end:
align 8
targets: dq @TARGETS@

; Memory: address, size, protection.
pages:
@PAGES@.end:
; The bytes in it that are not zero: address, size, where they are.
pieces:
@PIECES@.end:
@PIECE_BYTES@
; What has to come out: where it is, the bits that count, their values, a name.
align 8
checks:
@CHECKS@.end:
@NAMES@
action: dq repro_handler, 0x0c000004, restorer, 0xffffffffffffffff
alternate: dq stack, 0, 0x10000
signals: db 4, 5, 7, 8, 11, 0
good: db "ok    ", 0
bad: db "WRONG ", 0
expected: db ": expected ", 0
result: db " - result ", 0
newline: db 10, 0
unmapped: db "cannot map the memory of the case", 10, 0
digits: db "0x0000000000000000", 0

section .bss
alignb 64
repro_end: resb @SIZE@
repro_rsp: resq 1
repro_bases: resq 2
alignb 64
stack: resb 0x10000
