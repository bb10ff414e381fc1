// A ttrpc service on a Unix socket, for root only, that knows who has connected.
#pragma once

#include <filesystem>
#include <functional>

#include "attestation/guest_api/access.h"
#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "rpc/ttrpc/router.h"

namespace coffer::guest_api {

struct UnixSettings {
  std::filesystem::path socket;  // its folder is made, for root only
  // Adds the service to a connection's router, over a backend that is the caller's.
  std::function<void(rpc::Router&, Backend&)> add_services;
  Authorize authorize = {};  // empty: nobody gets anything
  std::size_t max_connections = 32;
};

// Serves from start() to close().
class UnixServer {
 public:
  // `backend` must outlive the server.
  UnixServer(asio::any_io_executor executor, Backend& backend, UnixSettings settings,
             Logger log = {});
  UnixServer(const UnixServer&) = delete;
  UnixServer& operator=(const UnixServer&) = delete;
  ~UnixServer();

  // Takes the place of a socket that a former server left.
  [[nodiscard]] Status start();
  // Ends every connection. Must be awaited before the destructor.
  Task<void> close();

 private:
  Task<void> accept_loop();
  Task<void> serve(Fd connection, int pid);

  Backend& backend_;
  UnixSettings settings_;
  Logger log_;
  Fd listener_;
  Scope scope_;
};

}  // namespace coffer::guest_api
