// One connection of a server: reads requests, runs handlers, writes answers. Not used by others.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "rpc/ttrpc/call.h"
#include "rpc/ttrpc/channel.h"
#include "rpc/ttrpc/envelope.h"
#include "rpc/ttrpc/router.h"

namespace coffer::rpc {

class Connection {
 public:
  // `router` outlives the connection.
  Connection(asio::any_io_executor executor, Fd fd, const Router& router, const Limits& limits,
             Logger log, std::uint64_t id);
  ~Connection();

  // Serves until the connection ends, cancels its handlers, and waits for them. The reason it
  // ended.
  Task<Status> run();
  // See Server::shutdown.
  Task<void> drain(Deadline deadline);

  [[nodiscard]] std::size_t active_calls() const { return calls_.running(); }

 private:
  class ServerStream;
  using StreamPtr = std::shared_ptr<ServerStream>;  // shared: table of streams and handler

  Task<Status> read_loop();
  void on_request(Frame frame);
  Task<void> on_data(Frame frame);
  Task<void> run_unary(const UnaryHandler& handler, CallContext context, Payload payload);
  Task<void> run_stream(const StreamHandler& handler, CallContext context, StreamPtr stream);
  void start(const Router::Method& method, Request request, const FrameHeader& header);

  void reply_error(std::uint32_t stream_id, Code code, std::string_view message);
  void reply(std::uint32_t stream_id, Result<std::string> result);
  void fail_stream(const StreamPtr& stream, Code code, std::string_view message);

  const Router& router_;
  Limits limits_;
  Logger log_;
  std::uint64_t id_;
  std::uint32_t last_stream_id_ = 0;
  std::size_t call_bytes_ = 0;
  bool draining_ = false;
  Channel channel_;
  std::unordered_map<std::uint32_t, StreamPtr> streams_;
  Scope writer_;
  Scope calls_;
};

}  // namespace coffer::rpc
