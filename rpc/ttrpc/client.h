// A ttrpc client over one connected descriptor.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "rpc/ttrpc/call.h"
#include "rpc/ttrpc/stream.h"

namespace coffer::rpc {

class Client {
 public:
  Client(asio::any_io_executor executor, Fd connected, Limits limits = {}, Logger log = {});
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  // Closes. Calls that still wait fail with kUnavailable; their coroutines may outlive the client.
  ~Client();

  // Any number at once; answers may come in any order. Errors: the status that the server sent;
  // kDeadlineExceeded at the timeout (the answer, should it come, is dropped); kUnavailable when
  // the connection is lost or was; kResourceExhausted, before anything is sent, when the request is
  // larger than a frame may be. The views must live until the call's first suspension ends: until
  // it is awaited, not longer.
  [[nodiscard]] Task<Result<Payload>> call(std::string_view service, std::string_view method,
                                           std::string payload, CallOptions options = {});

  struct StreamOptions {
    StreamOptions() {}  // NOLINT(modernize-use-equals-default): gcc 12 wants it here

    CallOptions call = {};
    // Sent with the request. Needed for server streaming, optional otherwise.
    std::optional<std::string> first = {};
    // False: `first` is the only message, the server streams.
    bool client_streams = true;
  };
  [[nodiscard]] Task<Result<std::unique_ptr<Stream>>> open_stream(std::string_view service,
                                                                  std::string_view method,
                                                                  StreamOptions options);

  [[nodiscard]] bool closed() const;
  Task<void> wait_closed();
  void close();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;  // shared: with calls and coroutines under way
};

}  // namespace coffer::rpc
