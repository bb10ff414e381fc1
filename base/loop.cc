#include "base/loop.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <exception>

namespace coffer {
namespace {

enum class Outcome { kWoken, kDeadline, kCancelled };

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

[[noreturn]] void unwind() {
  throw boost::system::system_error(make_error_code(asio::error::operation_aborted));
}

bool is_cancellation(const boost::system::system_error& error) {
  return error.code() == asio::error::operation_aborted;
}

void panic_unless_cancelled(const std::exception_ptr& exception) {
  if (!exception) return;
  try {
    std::rethrow_exception(exception);
  } catch (const boost::system::system_error& error) {
    check(is_cancellation(error), error.what());
  } catch (const std::exception& error) {
    check(false, error.what());
  } catch (...) {
    check(false, "an exception of unknown type left a coroutine");
  }
}

Task<Result<bool>> wait_ready(int fd, asio::posix::descriptor_base::wait_type what,
                              Deadline deadline) {
  // A duplicate, since asio registers and closes what it is given.
  Fd duplicate(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!duplicate.valid()) co_return fail_errno(errno, fmt::format("duplicate descriptor {}", fd));
  const auto executor = co_await asio::this_coro::executor;
  // Shared with the timer's handler, which may run after this frame has gone.
  auto descriptor = std::make_shared<asio::posix::stream_descriptor>(executor);
  boost::system::error_code error;
  descriptor->assign(duplicate.get(), error);
  if (error) co_return fail_errno(error.value(), fmt::format("poll descriptor {}", fd));
  std::ignore = duplicate.release();
  std::optional<asio::steady_timer> timer;
  if (deadline) {
    timer.emplace(executor, *deadline);
    timer->async_wait([descriptor](boost::system::error_code cancelled) {
      if (!cancelled) descriptor->cancel(cancelled);
    });
  }
  const auto [waited] = co_await descriptor->async_wait(what, kTuple);
  if (waited == asio::error::operation_aborted) {
    if (!deadline || std::chrono::steady_clock::now() < *deadline) unwind();
    co_return false;
  }
  if (waited) co_return fail_errno(waited.value(), fmt::format("poll descriptor {}", fd));
  co_return true;
}

}  // namespace

// Held by the list until it is resumed, and by its timer.
struct WaitList::Waiter {
  std::move_only_function<void(Outcome)> resume;  // empty: resumed
  WaitList* list = nullptr;
  std::list<std::shared_ptr<Waiter>>::iterator position;

  void fire(Outcome outcome) {
    if (!resume) return;
    auto* const owner = std::exchange(list, nullptr);
    const auto self = *position;
    owner->waiters_.erase(position);
    asio::post(owner->executor_,
               [resume = std::exchange(resume, {}), outcome]() mutable { resume(outcome); });
  }
};

WaitList::WaitList(asio::any_io_executor executor) : executor_(std::move(executor)) {}

WaitList::~WaitList() {
  while (!waiters_.empty()) waiters_.front()->fire(Outcome::kCancelled);
}

Task<bool> WaitList::wait(Deadline deadline) {
  const auto waiter = std::make_shared<Waiter>();
  std::optional<asio::steady_timer> timer;
  if (deadline) {
    timer.emplace(executor_, *deadline);
    timer->async_wait([weak = std::weak_ptr(waiter)](boost::system::error_code cancelled) {
      const auto expired = weak.lock();
      if (!cancelled && expired) expired->fire(Outcome::kDeadline);
    });
  }
  const auto suspend = [this, &waiter](auto handler) {
    const auto slot = asio::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      auto cancel = slot;
      cancel.assign([weak = std::weak_ptr(waiter)](asio::cancellation_type) {
        if (const auto cancelled = weak.lock()) cancelled->fire(Outcome::kCancelled);
      });
    }
    waiter->resume = [handler = std::move(handler)](Outcome outcome) mutable {
      std::move(handler)(outcome);
    };
    waiter->list = this;
    waiter->position = waiters_.insert(waiters_.end(), waiter);
  };
  const Outcome outcome =
      co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Outcome)>(
          suspend, asio::use_awaitable);
  if (outcome == Outcome::kCancelled) unwind();
  co_return outcome == Outcome::kWoken;
}

bool WaitList::wake_one() {
  if (waiters_.empty()) return false;
  waiters_.front()->fire(Outcome::kWoken);
  return true;
}

void WaitList::wake_all() {
  while (wake_one()) {
  }
}

Task<bool> Event::wait(Deadline deadline) {
  if (!set_) {
    const bool woken = co_await waiters_.wait(deadline);
    co_return woken;
  }
  co_return true;
}

Task<AsyncMutex::Lock> AsyncMutex::lock() {
  // A waiter that is woken has been handed the lock: `locked_` stays set in between, so nobody
  // overtakes it.
  if (locked_) co_await waiters_.wait();
  locked_ = true;
  co_return Lock(this);
}

void AsyncMutex::release() {
  if (!waiters_.wake_one()) locked_ = false;
}

struct Scope::State {
  explicit State(asio::any_io_executor executor) : idle(std::move(executor)) {}
  WaitList idle;
  std::list<asio::cancellation_signal> running;
};

Scope::Scope(asio::any_io_executor executor)
    : state_(std::make_shared<State>(std::move(executor))) {}

Scope::~Scope() { cancel(); }

void Scope::spawn(Task<void> task) {
  const auto entry = state_->running.emplace(state_->running.end());
  asio::co_spawn(state_->idle.executor(), std::move(task),
                 asio::bind_cancellation_slot(
                     entry->slot(), [state = state_, entry](const std::exception_ptr& exception) {
                       state->running.erase(entry);
                       if (state->running.empty()) state->idle.wake_all();
                       panic_unless_cancelled(exception);
                     }));
}

void Scope::cancel() {
  const auto state = state_;
  for (auto entry = state->running.begin(); entry != state->running.end();) {
    // The signal unlinks itself only from the loop, never inside emit().
    (entry++)->emit(asio::cancellation_type::terminal);
  }
}

Task<void> Scope::join() {
  const auto state = state_;
  while (!state->running.empty()) co_await state->idle.wait();
}

Task<void> Scope::close() {
  cancel();
  co_await join();
}

std::size_t Scope::running() const { return state_->running.size(); }

const asio::any_io_executor& Scope::executor() const { return state_->idle.executor(); }

Task<bool> with_deadline(Task<void> task, Deadline deadline) {
  if (!deadline) {
    co_await std::move(task);
    co_return true;
  }
  struct Watch {
    asio::cancellation_signal signal;
    bool expired = false;
  };
  // Shared with the timer's handler, which may run after this frame has gone.
  const auto watch = std::make_shared<Watch>();
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, *deadline);
  timer.async_wait([watch](boost::system::error_code cancelled) {
    if (cancelled) return;
    watch->expired = true;
    watch->signal.emit(asio::cancellation_type::terminal);
  });
  // The task listens to our signal, so our own cancellation is passed on by hand.
  const asio::cancellation_state own = co_await asio::this_coro::cancellation_state;
  if (auto slot = own.slot(); slot.is_connected()) {
    slot.assign([watch](asio::cancellation_type type) { watch->signal.emit(type); });
  }
  try {
    co_await asio::co_spawn(
        executor, std::move(task),
        asio::bind_cancellation_slot(watch->signal.slot(), asio::use_awaitable));
  } catch (const boost::system::system_error& error) {
    if (!watch->expired || !is_cancellation(error)) throw;
    co_return false;
  }
  co_return true;
}

Task<void> sleep_until(SteadyTime when) {
  asio::steady_timer timer(co_await asio::this_coro::executor, when);
  co_await timer.async_wait(asio::use_awaitable);
}

Task<void> sleep_for(std::chrono::nanoseconds duration) {
  co_await sleep_until(std::chrono::steady_clock::now() + duration);
}

Task<Result<bool>> wait_readable(int fd, Deadline deadline) {
  return wait_ready(fd, asio::posix::descriptor_base::wait_read, deadline);
}

Task<Result<bool>> wait_writable(int fd, Deadline deadline) {
  return wait_ready(fd, asio::posix::descriptor_base::wait_write, deadline);
}

Result<Fd> open_pidfd(int pid) {
  // SAFETY: pidfd_open(2) takes two integers and returns a descriptor.
  const long fd = ::syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0) return fail_errno(errno, fmt::format("open pidfd of process {}", pid));
  return Fd(static_cast<int>(fd));
}

Task<Result<ExitStatus>> wait_pidfd(int pidfd) {
  while (true) {
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG) != 0) {
      if (errno == EINTR) continue;
      co_return fail_errno(errno, "wait for a child process");
    }
    if (info.si_pid != 0) {
      const bool exited = info.si_code == CLD_EXITED;
      co_return ExitStatus{.code = exited ? info.si_status : 0,
                           .signal = exited ? 0 : info.si_status};
    }
    COFFER_CO_TRY_VOID(co_await wait_readable(pidfd));
  }
}

Task<Result<bool>> wait_process_gone(int pidfd, Deadline deadline) {
  return wait_readable(pidfd, deadline);
}

}  // namespace coffer
