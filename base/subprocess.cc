#include "base/subprocess.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/error.hpp>
#include <csignal>
#include <cstring>

namespace coffer {
namespace {

constexpr std::size_t kChildStack = std::size_t{64} << 10U;

// All that the child reads between clone and exec. It shares our memory and we are stopped
// meanwhile, so everything is made before, and `failed_step`, `error` come back the same way.
struct ChildPlan {
  const char* program = nullptr;
  char* const* argv = nullptr;
  char* const* envp = nullptr;
  const char* cwd = nullptr;
  std::vector<std::pair<int, int>> fds;  // {target, source}; sources lie above every target
  int close_from = 0;
  int netns_fd = -1;
  bool new_session = false;
  bool new_process_group = false;
  int parent_death_signal = 0;
  pid_t parent = 0;
  const char* oom_score_adj = nullptr;
  sigset_t mask{};
  const char* failed_step = nullptr;
  int error = 0;
};

// Only async-signal-safe calls from here to exec.
int child_fail(ChildPlan* plan, const char* step) {
  plan->error = errno;
  plan->failed_step = step;
  ::_exit(127);
}

void child_signals() {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) {
    if (signal != SIGKILL && signal != SIGSTOP) ::sigaction(signal, &action, nullptr);
  }
}

void child_descriptors(ChildPlan* plan) {
  for (const auto& [target, source] : plan->fds) {
    if (::dup2(source, target) < 0) child_fail(plan, "duplicate a descriptor");
  }
  for (int fd = 0; fd <= 2; ++fd) {
    const bool given = std::any_of(plan->fds.begin(), plan->fds.end(),
                                   [fd](const auto& pair) { return pair.first == fd; });
    if (given) continue;
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || ::dup2(null, fd) < 0) child_fail(plan, "open '/dev/null'");
  }
  // What lies between the wanted ones, and all above them.
  for (int fd = 3; fd < plan->close_from; ++fd) {
    const bool given = std::any_of(plan->fds.begin(), plan->fds.end(),
                                   [fd](const auto& pair) { return pair.first == fd; });
    if (!given) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  // Marked rather than closed: the error of exec may still need them. ENOSYS (before 5.11) leaves
  // it to the O_CLOEXEC that every descriptor of ours has.
  ::syscall(SYS_close_range, static_cast<unsigned>(plan->close_from), ~0U, CLOSE_RANGE_CLOEXEC);
}

void child_oom_score(ChildPlan* plan) {
  const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  const std::size_t size = std::strlen(plan->oom_score_adj);
  if (fd < 0 || ::write(fd, plan->oom_score_adj, size) != static_cast<ssize_t>(size)) {
    child_fail(plan, "write '/proc/self/oom_score_adj'");
  }
}

__attribute__((no_sanitize("address", "undefined"))) int child_main(void* argument) {
  auto* const plan = static_cast<ChildPlan*>(argument);
  child_signals();
  if (plan->parent_death_signal != 0) {
    ::prctl(PR_SET_PDEATHSIG, plan->parent_death_signal);
    // The parent may have died before: then nobody waits for us.
    if (::getppid() != plan->parent) child_fail(plan, "find the parent");
  }
  if (plan->new_session && ::setsid() < 0) child_fail(plan, "start a session");
  if (plan->new_process_group && ::setpgid(0, 0) < 0) child_fail(plan, "start a process group");
  if (plan->netns_fd >= 0 && ::setns(plan->netns_fd, CLONE_NEWNET) < 0) {
    child_fail(plan, "enter the network namespace");
  }
  if (plan->oom_score_adj != nullptr) child_oom_score(plan);
  child_descriptors(plan);
  if (plan->cwd != nullptr && ::chdir(plan->cwd) < 0) child_fail(plan, "change directory");
  ::sigprocmask(SIG_SETMASK, &plan->mask, nullptr);
  ::execve(plan->program, plan->argv, plan->envp);
  return child_fail(plan, "exec");
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  // execve(2) takes char* const* and changes nothing.
  for (const auto& text : strings) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

// Copies above every target number, so that no dup2 in the child overwrites a source.
Result<std::vector<Fd>> lift(const SpawnOptions& options, ChildPlan& plan) {
  int floor = 3;
  for (const auto& [target, source] : options.fds) floor = std::max(floor, target + 1);
  std::vector<Fd> copies;
  for (const auto& [target, source] : options.fds) {
    Fd copy(::fcntl(source, F_DUPFD_CLOEXEC, floor));
    if (!copy.valid()) return fail_errno(errno, fmt::format("duplicate descriptor {}", source));
    plan.fds.emplace_back(target, copy.get());
    copies.push_back(std::move(copy));
  }
  plan.close_from = floor;
  return copies;
}

// The stack that the child runs on until its exec.
class Stack {
 public:
  Stack()
      : base_(::mmap(nullptr, kChildStack, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0)) {}
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  ~Stack() {
    if (valid()) ::munmap(base_, kChildStack);
  }
  [[nodiscard]] bool valid() const { return base_ != MAP_FAILED; }
  [[nodiscard]] void* top() const { return static_cast<char*>(base_) + kChildStack; }

 private:
  void* base_;
};

struct Started {
  int pid = -1;
  int pidfd = -1;
  int error = 0;
};

Started start(ChildPlan& plan) {
  const Stack stack;
  if (!stack.valid()) return {.error = errno};
  // No signal handler of ours may run in the child, which shares our memory.
  sigset_t all{};
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &plan.mask);
  Started started;
  started.pid = ::clone(child_main, stack.top(), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
                        &plan, &started.pidfd);
  if (started.pid < 0) started.error = errno;
  ::pthread_sigmask(SIG_SETMASK, &plan.mask, nullptr);
  return started;
}

}  // namespace

Result<Child> spawn(const SpawnOptions& options) {
  if (options.argv.empty()) return fail(Code::kInvalidArgument, "spawn: no program given");
  const std::string program = options.program.value_or(options.argv.front());
  const std::string what = fmt::format("spawn '{}'", program);
  const auto argv = pointers(options.argv);
  const auto env = options.env ? pointers(*options.env) : std::vector<char*>();
  const std::string oom = options.oom_score_adj ? std::to_string(*options.oom_score_adj) : "";
  ChildPlan plan;
  plan.program = program.c_str();
  plan.argv = argv.data();
  plan.envp = options.env ? env.data() : environ;
  plan.cwd = options.cwd.empty() ? nullptr : options.cwd.c_str();
  plan.netns_fd = options.netns_fd;
  plan.new_session = options.new_session;
  plan.new_process_group = options.new_process_group;
  plan.parent_death_signal = options.parent_death_signal;
  plan.parent = ::getpid();
  plan.oom_score_adj = oom.empty() ? nullptr : oom.c_str();
  auto copies = lift(options, plan);
  if (!copies) return fail(std::move(copies).error().with_context(what));
  // clone(2) with CLONE_VFORK returns when the child has exec'ed or gone.
  const Started started = start(plan);
  if (started.error != 0) return fail_errno(started.error, what + ": clone");
  Child child(started.pid, Fd(started.pidfd));
  if (plan.failed_step == nullptr) return child;
  return fail_errno(plan.error, fmt::format("{}: {}", what, plan.failed_step));
}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    destroy();
    pid_ = other.pid_;
    pidfd_ = std::move(other.pidfd_);
    status_ = other.status_;
  }
  return *this;
}

Child::~Child() { destroy(); }

void Child::destroy() {
  if (!pidfd_.valid() || status_) return;
  std::ignore = kill(SIGKILL);
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) != 0 &&
         errno == EINTR) {
  }
  pidfd_.reset();
}

Task<Result<ExitStatus>> Child::wait() {
  if (status_) co_return *status_;
  COFFER_CO_TRY(const ExitStatus status, co_await wait_pidfd(pidfd_.get()));
  status_ = status;
  co_return status;
}

Task<Result<std::optional<ExitStatus>>> Child::wait_until(Deadline deadline) {
  if (!status_) {
    COFFER_CO_TRY(const bool gone, co_await wait_process_gone(pidfd_.get(), deadline));
    if (!gone) co_return std::optional<ExitStatus>();
  }
  COFFER_CO_TRY(const ExitStatus status, co_await wait());
  co_return std::optional<ExitStatus>(status);
}

Status Child::kill(int signal) const {
  if (status_) return fail(Code::kNotFound, fmt::format("kill process {}: it has ended", pid_));
  // SAFETY: pidfd_send_signal(2) takes a descriptor, a number, no siginfo and no flags.
  if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) != 0) {
    return fail_errno(errno, fmt::format("kill process {}", pid_));
  }
  return {};
}

Fd Child::release() { return std::move(pidfd_); }

namespace {

struct Pipe {
  Fd read;
  Fd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "make a pipe");
  return Pipe{.read = Fd(ends[0]), .write = Fd(ends[1])};
}

void set_nonblocking(const Fd& fd) {
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

struct Capture {
  Fd fd;
  std::string text;
};

// What run() and its coroutines share: shared, so that one which is resumed for its cancellation
// after run() has returned still finds it.
struct Running {
  explicit Running(asio::any_io_executor executor) : over(std::move(executor)) {}
  Fd input;
  std::string input_text;
  Capture out;
  Capture err;
  std::size_t limit = 0;
  Status status;
  Event over;  // the child has ended, or `status` says what failed
};

// Reads what is there. True at the end of the stream.
Result<bool> drain_now(Capture& capture, std::size_t limit) {
  std::array<char, 16384> buffer{};
  while (true) {
    const ssize_t count = ::read(capture.fd.get(), buffer.data(), buffer.size());
    if (count == 0) return true;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return false;
    if (count < 0) return fail_errno(errno, "read output");
    if (capture.text.size() + static_cast<std::size_t>(count) > limit) {
      return fail(Code::kResourceExhausted, fmt::format("read output: more than {} bytes", limit));
    }
    capture.text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

Task<Status> drain(Capture& capture, std::size_t limit) {
  while (true) {
    COFFER_CO_TRY(const bool end, drain_now(capture, limit));
    if (end) co_return Status();
    COFFER_CO_TRY_VOID(co_await wait_readable(capture.fd.get()));
  }
}

Task<void> collect(std::shared_ptr<Running> running, Capture Running::* which) {
  Status status = co_await drain((*running).*which, running->limit);
  if (status) co_return;
  running->status = std::move(status);
  running->over.set();
}

// A child that does not read its input is not an error: EPIPE ends the feeding.
Task<void> feed(std::shared_ptr<Running> running) {
  std::string_view text = running->input_text;
  while (!text.empty()) {
    const ssize_t count = ::write(running->input.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != EAGAIN) break;
    if (count < 0) {
      const auto ready = co_await wait_writable(running->input.get());
      if (!ready) break;
      continue;
    }
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  running->input.reset();
}

Task<void> watch(std::shared_ptr<Running> running, int pidfd) {
  auto gone = co_await wait_process_gone(pidfd);
  if (!gone) running->status = fail(std::move(gone).error());
  running->over.set();
}

Result<Child> start_with_pipes(SpawnOptions& options, Running& running) {
  COFFER_TRY(Pipe in, make_pipe());
  COFFER_TRY(Pipe out, make_pipe());
  COFFER_TRY(Pipe err, make_pipe());
  options.fds.emplace_back(0, in.read.get());
  options.fds.emplace_back(1, out.write.get());
  options.fds.emplace_back(2, err.write.get());
  for (const Fd* fd : {&in.write, &out.read, &err.read}) set_nonblocking(*fd);
  running.input = std::move(in.write);
  running.out.fd = std::move(out.read);
  running.err.fd = std::move(err.read);
  return spawn(options);
}

}  // namespace

Task<Result<RunResult>> run(SpawnOptions options, RunOptions run_options) {
  const std::string what = fmt::format("run '{}'", options.argv.empty() ? "" : options.argv[0]);
  const auto executor = co_await asio::this_coro::executor;
  const auto running = std::make_shared<Running>(executor);
  running->input_text = std::move(run_options.input);
  running->limit = run_options.output_limit;
  COFFER_CO_TRY(Child child, start_with_pipes(options, *running));

  Scope scope(executor);
  scope.spawn(feed(running));
  scope.spawn(collect(running, &Running::out));
  scope.spawn(collect(running, &Running::err));
  scope.spawn(watch(running, child.pidfd()));
  const bool in_time = co_await running->over.wait(run_options.deadline);
  if (!in_time) {
    co_return fail(Code::kDeadlineExceeded, fmt::format("{}: not done in time, killed", what));
  }
  // The child has ended: what it wrote is in the pipes. Their end may never come, when a grandchild
  // keeps them open.
  for (Capture* capture : {&running->out, &running->err}) {
    if (!running->status) break;
    if (auto end = drain_now(*capture, running->limit); !end) {
      running->status = fail(std::move(end).error());
    }
  }
  if (!running->status) co_return fail(std::move(running->status).error().with_context(what));
  COFFER_CO_TRY(const ExitStatus status, co_await child.wait());
  co_return RunResult{
      .status = status, .out = std::move(running->out.text), .err = std::move(running->err.text)};
}

}  // namespace coffer
