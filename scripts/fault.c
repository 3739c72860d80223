/* Runs a command and stops it at its K-th file operation below a folder: all its processes are
 * killed before that operation (kill), or the operation fails (5: EIO, 28: ENOSPC; x86-64 only).
 * With K = 0 nothing happens but that the operations are counted. The last line of stdout is
 * their number. Sees system calls, so also those that no library makes.
 *
 *     fault K kill|5|28 FOLDER COMMAND...
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *folder;

static int below(const char *path) { return !strncmp(path, folder, strlen(folder)); }

static int path_below(pid_t pid, unsigned long address) {
    char path[PATH_MAX] = "";
    struct iovec ours = {path, sizeof path - 1}, theirs = {(void *)address, sizeof path - 1};
    if (process_vm_readv(pid, &ours, 1, &theirs, 1, 0) < 0) {
        ours.iov_len = theirs.iov_len = 4096 - (address & 4095);
        if (process_vm_readv(pid, &ours, 1, &theirs, 1, 0) < 0) return 0;
    }
    return path[0] == '/' ? below(path) : 1; /* a relative one: the command runs in the folder */
}

static int fd_below(pid_t pid, int fd) {
    char name[64], path[PATH_MAX];
    snprintf(name, sizeof name, "/proc/%d/fd/%d", pid, fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int is_operation(pid_t pid, const struct __ptrace_syscall_info *info) {
    const __uint64_t *a = info->entry.args;
    switch (info->entry.nr) {
    case SYS_write: case SYS_pwrite64: case SYS_writev: case SYS_ftruncate:
    case SYS_fsync: case SYS_fdatasync: case SYS_flock: case SYS_fchmod: return fd_below(pid, a[0]);
    case SYS_openat: return (a[2] & (O_CREAT | O_TRUNC)) && path_below(pid, a[1]);
    case SYS_mkdirat: case SYS_unlinkat: case SYS_renameat: case SYS_linkat: case SYS_renameat2: return path_below(pid, a[1]);
#ifdef SYS_open
    case SYS_open: return (a[1] & (O_CREAT | O_TRUNC)) && path_below(pid, a[0]);
    case SYS_rename: case SYS_unlink: case SYS_mkdir: case SYS_rmdir: case SYS_link: case SYS_creat: return path_below(pid, a[0]);
#endif
    default: return 0;
    }
}

static void set_result(pid_t pid, long value, int entering) {
#ifdef __x86_64__
    struct user_regs_struct regs;
    ptrace(PTRACE_GETREGS, pid, 0, &regs);
    if (entering) regs.orig_rax = -1; else regs.rax = value;
    ptrace(PTRACE_SETREGS, pid, 0, &regs);
#else
    (void)pid; (void)value; (void)entering;
#endif
}

int main(int count, char **words) {
    if (count < 5) return 2;
    long k = atol(words[1]), n = 0, error = atol(words[2]);
    folder = words[3];
    pid_t first = fork(), failing = 0;
    if (first == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(words[4], words + 4);
        _exit(127);
    }
    int status, code = 0;
    waitpid(first, &status, 0);
    if (ptrace(PTRACE_SETOPTIONS, first, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK |
               PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)) { perror("ptrace"); return 3; }
    ptrace(PTRACE_SYSCALL, first, 0, 0);
    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0) break;
        if (!WIFSTOPPED(status)) {
            if (pid == first) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        int signal = WSTOPSIG(status);
        if (signal == (SIGTRAP | 0x80)) {
            struct __ptrace_syscall_info info;
            signal = 0;
            long size = ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
            if (size > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY && is_operation(pid, &info) && ++n == k) {
                if (!error) { printf("%ld\n", n); fflush(stdout); _exit(137); } /* EXITKILL takes all of them along */
                failing = pid;
                set_result(pid, 0, 1);
            } else if (size > 0 && info.op == PTRACE_SYSCALL_INFO_EXIT && pid == failing) {
                set_result(pid, -error, 0);
                failing = 0;
            }
        } else if (signal == SIGTRAP || signal == SIGSTOP) {
            signal = 0;
        }
        ptrace(PTRACE_SYSCALL, pid, 0, signal);
    }
    printf("%ld\n", n);
    return code;
}
