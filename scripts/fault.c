/* Runs a command and disturbs it at its K-th file operation below a folder. HOW is
 *
 *     kill      all its processes are killed before the operation
 *     killed    … or after it
 *     alone     the one process that does it is killed before it, and the others live on
 *     term      the command gets SIGTERM before it
 *     EIO       it fails so
 *     ENOSPC    it fails so
 *     short     of a write half is taken, without an error; other operations do not count
 *     full      the disk is full from here on: half of a write is taken, and all that needs room fails
 *     unread    a read, a look or an opening fails with EIO; other operations do not count
 *
 * With K = 0 nothing happens but that the operations are counted. The last line of stdout is their
 * number. Sees system calls, so also those that no library makes. All but the kills need x86-64.
 *
 *     fault K HOW FOLDER COMMAND...
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

typedef struct __ptrace_syscall_info Info;

static const char *folder;

static int below(const char *path) { return !strncmp(path, folder, strlen(folder)); }

static int path_below(pid_t pid, unsigned long address) {
    char path[PATH_MAX] = "";
    struct iovec ours = {path, sizeof path - 1}, theirs = {(void *)address, sizeof path - 1};
    if (process_vm_readv(pid, &ours, 1, &theirs, 1, 0) < 0) {
        ours.iov_len = theirs.iov_len = 4096 - (address & 4095);
        if (process_vm_readv(pid, &ours, 1, &theirs, 1, 0) < 0) return 0;
    }
    return path[0] == '/' ? below(path) : path[0] != 0; /* a relative one: the command runs in the folder */
}

static int fd_below(pid_t pid, int fd) {
    char name[64], path[PATH_MAX];
    snprintf(name, sizeof name, "/proc/%d/fd/%d", pid, fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int is_write(pid_t pid, const Info *info) {
    const __uint64_t *a = info->entry.args;
    switch (info->entry.nr) {
    case SYS_write: case SYS_pwrite64: case SYS_writev: return fd_below(pid, a[0]);
    default: return 0;
    }
}

static int needs_room(pid_t pid, const Info *info) {
    const __uint64_t *a = info->entry.args;
    switch (info->entry.nr) {
    case SYS_openat: return (a[2] & O_CREAT) && path_below(pid, a[1]);
    case SYS_mkdirat: case SYS_renameat: case SYS_linkat: case SYS_renameat2: return path_below(pid, a[1]);
#ifdef SYS_open
    case SYS_open: return (a[1] & O_CREAT) && path_below(pid, a[0]);
    case SYS_rename: case SYS_mkdir: case SYS_link: case SYS_creat: return path_below(pid, a[0]);
#endif
    default: return is_write(pid, info);
    }
}

static int is_change(pid_t pid, const Info *info) {
    const __uint64_t *a = info->entry.args;
    switch (info->entry.nr) {
    case SYS_ftruncate: case SYS_fsync: case SYS_fdatasync: case SYS_flock: case SYS_fchmod: return fd_below(pid, a[0]);
    case SYS_openat: return (a[2] & (O_CREAT | O_TRUNC)) && path_below(pid, a[1]);
    case SYS_unlinkat: return path_below(pid, a[1]);
#ifdef SYS_open
    case SYS_open: return (a[1] & (O_CREAT | O_TRUNC)) && path_below(pid, a[0]);
    case SYS_unlink: case SYS_rmdir: return path_below(pid, a[0]);
#endif
    default: return needs_room(pid, info);
    }
}

static int is_look(pid_t pid, const Info *info) {
    const __uint64_t *a = info->entry.args;
    switch (info->entry.nr) {
    case SYS_read: case SYS_pread64: case SYS_readv: case SYS_getdents64: return fd_below(pid, a[0]);
    case SYS_openat: return !(a[2] & O_CREAT) && path_below(pid, a[1]);
    case SYS_statx: case SYS_readlinkat: return path_below(pid, a[1]);
#ifdef SYS_open
    case SYS_open: return !(a[1] & O_CREAT) && path_below(pid, a[0]);
    case SYS_stat: case SYS_lstat: case SYS_readlink: case SYS_access: return path_below(pid, a[0]);
    case SYS_newfstatat: return path_below(pid, a[1]);
#endif
    default: return 0;
    }
}

#ifdef __x86_64__
/* Has a system call not happen that is entered. */
static void skip(pid_t pid) {
    struct user_regs_struct regs;
    ptrace(PTRACE_GETREGS, pid, 0, &regs);
    regs.orig_rax = -1;
    ptrace(PTRACE_SETREGS, pid, 0, &regs);
}

static void give(pid_t pid, long result) {
    struct user_regs_struct regs;
    ptrace(PTRACE_GETREGS, pid, 0, &regs);
    regs.rax = result;
    ptrace(PTRACE_SETREGS, pid, 0, &regs);
}

static void halve(pid_t pid) {
    struct user_regs_struct regs;
    ptrace(PTRACE_GETREGS, pid, 0, &regs);
    regs.rdx /= 2;
    ptrace(PTRACE_SETREGS, pid, 0, &regs);
}
#else
static void skip(pid_t pid) { (void)pid; }
static void give(pid_t pid, long result) { (void)pid; (void)result; }
static void halve(pid_t pid) { (void)pid; }
#endif

/* The threads whose system call was skipped, and what it is to give. */
static struct { pid_t pid; long result; } failing[64];

static void fail(pid_t pid, long error) {
    for (size_t i = 0; i < sizeof failing / sizeof *failing; i++)
        if (!failing[i].pid) {
            failing[i].pid = pid;
            failing[i].result = -error;
            skip(pid);
            return;
        }
}

static void left(pid_t pid) {
    for (size_t i = 0; i < sizeof failing / sizeof *failing; i++)
        if (failing[i].pid == pid) {
            give(pid, failing[i].result);
            failing[i].pid = 0;
        }
}

/* All processes end with this one. */
static void kill_all(long n) {
    printf("%ld\n", n);
    fflush(stdout);
    _exit(137);
}

int main(int count, char **words) {
    if (count < 5) return 2;
    long k = atol(words[1]), n = 0;
    const char *how = words[2];
    folder = words[3];
    int is_short = !strcmp(how, "short"), is_full = !strcmp(how, "full"), is_unread = !strcmp(how, "unread"), full = 0;
    pid_t first = fork(), last = 0;
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
            Info info;
            signal = 0;
            long size = ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
            int enters = size > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY;
            if (size > 0 && info.op == PTRACE_SYSCALL_INFO_EXIT) {
                if (pid == last) kill_all(n);
                left(pid);
            } else if (enters && full) {
                if (needs_room(pid, &info)) fail(pid, ENOSPC);
            } else if (enters && (is_short ? is_write(pid, &info) && info.entry.args[2] > 1 : is_full ? needs_room(pid, &info)
                                  : is_unread ? is_look(pid, &info) : is_change(pid, &info)) && ++n == k) {
                if (!strcmp(how, "kill")) kill_all(n);
                else if (!strcmp(how, "killed")) last = pid;
                else if (!strcmp(how, "alone")) kill(pid, SIGKILL);
                else if (!strcmp(how, "term")) kill(first, SIGTERM);
                else if (is_short) halve(pid);
                else if (is_full) {
                    full = 1;
                    if (is_write(pid, &info) && info.entry.args[2] > 1) halve(pid); else fail(pid, ENOSPC);
                } else fail(pid, !strcmp(how, "ENOSPC") ? ENOSPC : EIO);
            }
        } else if (signal == SIGTRAP || signal == SIGSTOP) {
            signal = 0;
        }
        ptrace(PTRACE_SYSCALL, pid, 0, signal);
    }
    printf("%ld\n", n);
    return code;
}
