// Runs coroutines to their end in tests.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include "base/loop.h"

namespace coffer {

// Runs `make(context's executor)` on a loop of its own until nothing is left to do, and returns
// what the task returned.
template <typename T>
T run_task(std::function<Task<T>(asio::any_io_executor)> make) {
  asio::io_context context(1);
  std::optional<T> result;
  const auto body = [&]() -> Task<void> {
    T value = co_await make(context.get_executor());
    result.emplace(std::move(value));
  };
  asio::co_spawn(context, body, [](const std::exception_ptr& exception) {
    if (exception) std::rethrow_exception(exception);
  });
  context.run();
  check(result.has_value(), "the task did not end");
  return *std::move(result);
}

inline void run_void(std::function<Task<void>(asio::any_io_executor)> make) {
  run_task<int>([&](asio::any_io_executor executor) -> Task<int> {
    co_await make(executor);
    co_return 0;
  });
}

}  // namespace coffer
