#include "shim/task/serve.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <utility>

#include "rpc/ttrpc/server.h"
#include "shim/task/events.h"
#include "shim/task/pod.h"
#include "shim/task/service.h"

namespace coffer::shim {
namespace {

constexpr std::chrono::seconds kFlushTimeout{2};
constexpr std::chrono::milliseconds kDrainTimeout{500};

// The path that a listening Unix socket is bound to.
std::string socket_path_of(int fd) {
  sockaddr_un name{};
  socklen_t size = sizeof(name);
  // SAFETY: getsockname(2) writes any address family behind a sockaddr pointer.
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) return {};
  return {static_cast<const char*>(name.sun_path)};
}

// SIGTERM and SIGINT end an idle shim only: an init system that stops everything sends them to pods
// that containerd has yet to stop.
Task<void> watch_signals(Pod& pod, Event& shut_down, const Logger& log) {
  asio::signal_set signals(co_await asio::this_coro::executor, SIGTERM, SIGINT);
  for (;;) {
    const int number = co_await signals.async_wait(asio::use_awaitable);
    if (pod.has_containers()) {
      log.warn("signal ignored: containers are running", {{"signal", number}});
    } else {
      log.info("ended by a signal", {{"signal", number}});
      shut_down.set();
    }
  }
}

Task<void> run(const ServeOptions& options, const Host& host) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  Event shut_down(executor);
  EventPublisher::Options publish;
  publish.ttrpc_address = options.ttrpc_address;
  publish.containerd_namespace = options.containerd_namespace;
  publish.log = options.log;
  EventPublisher events(executor, std::move(publish));
  Pod pod(executor, host, events, options.containerd_namespace, options.log);
  TaskService service(pod, shut_down, options.env_config, is_unified(host.cgroup_root),
                      options.log);
  rpc::Router router;
  service.add_to(router);
  rpc::Server server(executor, std::move(router), {}, options.log);
  const std::string path = socket_path_of(options.listener);
  server.listen(Fd(options.listener), [](int fd) { return rpc::peer_is_same_user(fd); });
  Scope scope(executor);
  scope.spawn(watch_signals(pod, shut_down, options.log));

  co_await shut_down.wait();
  // Nobody new: a start for the same id makes its own socket from here on.
  ::unlink(path.c_str());
  co_await pod.close();
  const bool flushed = co_await events.flush(deadline_in(kFlushTimeout));
  if (!flushed) options.log.warn("events are lost", {{"count", events.queued()}});
  co_await server.shutdown(deadline_in(kDrainTimeout));
  co_await events.close();
  co_await scope.close();
}

}  // namespace

Status serve(const ServeOptions& options, Host host) {
  host.socket = socket_path_of(options.listener);
  host.started = moment_of(options.started);
  host.serving = Phases::Clock::now();
  asio::io_context loop(1);
  bool finished = false;
  asio::co_spawn(
      loop,
      [&]() -> Task<void> {
        co_await run(options, host);
        finished = true;
      },
      [&](const std::exception_ptr& exception) {
        check(!exception, "the shim's main coroutine was cancelled");
        loop.stop();
      });
  loop.run();
  check(finished, "the shim's loop ended by itself");
  // A create that was under way when the end came left its record.
  const auto left = load_state(host.state_root, options.sandbox_id);
  if (!left) return {};
  for (const Error& error : remove_leftovers(host.state_root, *left, host.undo)) {
    options.log.error("something of the sandbox is left", {{"error", error}});
  }
  return {};
}

}  // namespace coffer::shim
