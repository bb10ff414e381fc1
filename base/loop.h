// The event loop: one thread, one asio::io_context, coroutines that read like the protocol.
//
// Cancellation: a coroutine that a Scope (or with_deadline) cancels is unwound at its current or
// next suspension point, as asio does it: by boost::system::system_error(operation_aborted), which
// nobody but the owner catches. Resources are therefore held by objects with destructors. A
// clean-up that must itself suspend starts with `co_await ignore_cancellation();`.
//
// gcc 12 miscompiles some coroutines. Keep to these and it does not: no aggregate made from a
// braced list within an expression that has a co_await (make it a local first), no container
// initialised from a braced list within a coroutine (make it in a function), no co_await in a
// conditional operator's arm, coroutine lambdas capture nothing (pass arguments) unless the lambda
// object itself is given to Scope::spawn, which keeps it alive.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/fd.h"

namespace coffer {

namespace asio = boost::asio;

template <typename T = void>
using Task = asio::awaitable<T>;

using SteadyTime = std::chrono::steady_clock::time_point;
// Empty: no deadline.
using Deadline = std::optional<SteadyTime>;
[[nodiscard]] inline Deadline deadline_in(std::chrono::nanoseconds from_now) {
  return std::chrono::steady_clock::now() + from_now;
}

// Suspended coroutines, first in first out; what the other primitives are made of. Waiters that are
// still there when the list dies are cancelled.
class WaitList {
 public:
  explicit WaitList(asio::any_io_executor executor);
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;
  ~WaitList();

  // True when woken, false at the deadline.
  [[nodiscard]] Task<bool> wait(Deadline deadline = {});
  // The woken run later, from the loop, never inside this call. False: nobody was waiting.
  bool wake_one();
  void wake_all();
  [[nodiscard]] bool empty() const { return waiters_.empty(); }
  [[nodiscard]] const asio::any_io_executor& executor() const { return executor_; }

  struct Waiter;

 private:
  asio::any_io_executor executor_;
  std::list<std::shared_ptr<Waiter>> waiters_;  // shared: with the waiter's timer
};

// Set once, stays set.
class Event {
 public:
  explicit Event(asio::any_io_executor executor) : waiters_(std::move(executor)) {}
  void set() {
    set_ = true;
    waiters_.wake_all();
  }
  [[nodiscard]] bool is_set() const { return set_; }
  // False at the deadline.
  Task<bool> wait(Deadline deadline = {});

 private:
  WaitList waiters_;
  bool set_ = false;
};

// A value set once, for any number of waiters.
template <typename T>
class Future {
 public:
  explicit Future(asio::any_io_executor executor) : event_(std::move(executor)) {}
  // The first value stays; false when there was one.
  bool set(T value) {
    if (value_) return false;
    value_.emplace(std::move(value));
    event_.set();
    return true;
  }
  [[nodiscard]] bool ready() const { return value_.has_value(); }
  [[nodiscard]] const std::optional<T>& peek() const { return value_; }
  // A copy of the value; empty at the deadline.
  [[nodiscard]] Task<std::optional<T>> wait(Deadline deadline = {}) {
    co_await event_.wait(deadline);
    co_return value_;
  }

 private:
  Event event_;
  std::optional<T> value_;
};

// Mutual exclusion across suspensions, in order of arrival. For per-container serialisation.
class AsyncMutex {
 public:
  explicit AsyncMutex(asio::any_io_executor executor) : waiters_(std::move(executor)) {}

  class [[nodiscard]] Lock {
   public:
    Lock() = default;
    explicit Lock(AsyncMutex* mutex) : mutex_(mutex) {}
    Lock(Lock&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    Lock& operator=(Lock&& other) noexcept {
      if (this != &other) {
        unlock();
        mutex_ = std::exchange(other.mutex_, nullptr);
      }
      return *this;
    }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock() { unlock(); }
    void unlock() {
      if (auto* mutex = std::exchange(mutex_, nullptr)) mutex->release();
    }

   private:
    AsyncMutex* mutex_ = nullptr;
  };

  // The mutex must outlive the lock.
  Task<Lock> lock();
  [[nodiscard]] bool locked() const { return locked_; }

 private:
  void release();
  WaitList waiters_;
  bool locked_ = false;
};

// A bounded queue between coroutines.
template <typename T>
class Queue {
 public:
  Queue(asio::any_io_executor executor, std::size_t capacity)
      : readers_(executor), writers_(std::move(executor)), capacity_(capacity) {}

  // False when full or closed; `value` is then untouched.
  bool try_push(T& value) {
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(value));
    readers_.wake_one();
    return true;
  }
  // Waits for room. False when closed or at the deadline; the value is then gone.
  Task<bool> push(T value, Deadline deadline = {}) {
    while (!try_push(value)) {
      if (closed_) co_return false;
      const bool woken = co_await writers_.wait(deadline);
      if (!woken) co_return false;
    }
    co_return true;
  }
  // For an only producer: returns when the next push will not wait (or will fail: closed).
  Task<void> wait_room() {
    while (!closed_ && items_.size() >= capacity_) co_await writers_.wait();
  }
  // Empty when closed and drained, or at the deadline.
  Task<std::optional<T>> pop(Deadline deadline = {}) {
    while (items_.empty()) {
      if (closed_) co_return std::nullopt;
      const bool woken = co_await readers_.wait(deadline);
      if (!woken) co_return std::nullopt;
    }
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    writers_.wake_one();
    co_return item;
  }
  // What is queued can still be popped.
  void close() {
    closed_ = true;
    readers_.wake_all();
    writers_.wake_all();
  }
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] std::size_t size() const { return items_.size(); }

 private:
  WaitList readers_;
  WaitList writers_;
  std::deque<T> items_;
  std::size_t capacity_;
  bool closed_ = false;
};

// Owns coroutines: no coroutine runs without one. An exception that leaves a spawned coroutine,
// other than that of its cancellation, is a bug of ours and aborts.
class Scope {
 public:
  explicit Scope(asio::any_io_executor executor);
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  // Cancels what still runs, but cannot wait for its end: `co_await close()` first when the
  // coroutines use anything that dies with the scope.
  ~Scope();

  void spawn(Task<void> task);
  // The callable is kept until its task ends, so its captures may be used.
  template <typename F>
    requires(std::invocable<F&> && std::same_as<std::invoke_result_t<F&>, Task<void>>)
  void spawn(F function) {
    spawn(run(std::make_unique<F>(std::move(function))));
  }
  // Asks every coroutine to unwind.
  void cancel();
  // Waits until none runs.
  Task<void> join();
  // cancel() and join(). Whoever may itself be cancelled says ignore_cancellation() first.
  Task<void> close();
  [[nodiscard]] std::size_t running() const;
  [[nodiscard]] const asio::any_io_executor& executor() const;

 private:
  struct State;

  template <typename F>
  static Task<void> run(std::unique_ptr<F> function) {
    co_await (*function)();
  }

  std::shared_ptr<State> state_;  // shared: with the completion of each coroutine
};

// Runs `task` and cancels it at the deadline. False: it was cancelled, and has ended.
[[nodiscard]] Task<bool> with_deadline(Task<void> task, Deadline deadline);

Task<void> sleep_until(SteadyTime when);
Task<void> sleep_for(std::chrono::nanoseconds duration);
// `co_await ignore_cancellation();` From here on this coroutine, with all that await it, is not
// unwound by cancellation, not even by one that has been asked for already.
inline auto ignore_cancellation() {
  return asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
}

// Waits until `fd`, which stays the caller's and must be pollable, is readable (or at end, or in
// error). False at the deadline.
[[nodiscard]] Task<Result<bool>> wait_readable(int fd, Deadline deadline = {});
[[nodiscard]] Task<Result<bool>> wait_writable(int fd, Deadline deadline = {});

struct ExitStatus {
  int code = 0;    // exit status, when signal is 0
  int signal = 0;  // what killed it
  // As a shell and containerd count: 128 + signal, or the code.
  [[nodiscard]] int as_shell() const { return signal != 0 ? 128 + signal : code; }
};

[[nodiscard]] Result<Fd> open_pidfd(int pid);
// Waits for the end of a child of ours and reaps it. `pidfd` stays the caller's.
[[nodiscard]] Task<Result<ExitStatus>> wait_pidfd(int pidfd);
// Waits for the end of any process, without reaping. False at the deadline.
[[nodiscard]] Task<Result<bool>> wait_process_gone(int pidfd, Deadline deadline = {});

}  // namespace coffer
