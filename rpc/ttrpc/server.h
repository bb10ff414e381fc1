// A ttrpc server: any number of connections, one router. Behaviour on the wire:
// docs/formats/ttrpc.md.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "rpc/ttrpc/call.h"
#include "rpc/ttrpc/router.h"

namespace coffer::rpc {

class Server {
 public:
  Server(asio::any_io_executor executor, Router router, Limits limits = {}, Logger log = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  // Cancels everything, but cannot wait: co_await shutdown() first when handlers use anything that
  // dies with the server's owner.
  ~Server();

  // Serves one connected descriptor, of any pollable kind: Unix socket, vsock, virtio-serial port.
  void serve(Fd connected);
  // The same, for who must know when the connection has ended and all of its handlers with it. The
  // error says why: kUnavailable "closed by peer" is the ordinary end.
  Task<Status> serve_until_closed(Fd connected);
  // Accepts until shutdown. `accept_peer` sees each accepted socket and may refuse it.
  void listen(Fd listening, std::function<bool(int fd)> accept_peer = {});
  // Accepts no more, answers new calls Unavailable, lets those under way end until `drain` (without
  // it they are cancelled at once), writes what is queued, and closes. Not to be awaited in a
  // handler, which would wait for itself.
  Task<void> shutdown(Deadline drain = {});

  [[nodiscard]] std::size_t connections() const;
  // Calls being served now, on all connections.
  [[nodiscard]] std::size_t active_calls() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;  // shared: with the coroutines that serve
};

// The peer of a Unix socket has our effective user and group id, or is root's when `root_too`.
[[nodiscard]] bool peer_is_same_user(int fd, bool root_too = false);

}  // namespace coffer::rpc
