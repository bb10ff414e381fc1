#include <fmt/format.h>
#include <google/protobuf/empty.pb.h>

#include "guest-agent/methods.h"
#include "guest-agent/sandbox.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::agent {
namespace {

using Empty = google::protobuf::Empty;
using ProcessResult = Result<std::shared_ptr<Process>>;

template <typename Request>
Result<std::shared_ptr<Container>> container_of(const Sandbox& sandbox, const Request& request) {
  auto found = sandbox.find(request.container_id());
  if (found) return found;
  return fail(Code::kInvalidArgument,
              fmt::format("InvalidContainerId: '{}'", request.container_id()));
}

Task<Result<grpc::ReadStreamResponse>> read_stream(Sandbox& sandbox,
                                                   grpc::ReadStreamRequest request, bool error) {
  COFFER_CO_TRY(const auto container, container_of(sandbox, request));
  COFFER_CO_TRY(const auto process, container->process_output(request.exec_id()));
  auto& stdio = process->stdio();
  // A terminal has one output; either call reads it.
  OutputStream* stream = error && stdio.err ? stdio.err.get() : stdio.out.get();
  if (stream == nullptr) co_return fail(Code::kInternal, "cannot get stream reader");
  auto data = co_await stream->read(request.len());
  if (!data) co_return fail(std::move(data).error());
  grpc::ReadStreamResponse response;
  response.set_data(*std::move(data));
  co_return response;
}

Task<Result<grpc::WriteStreamResponse>> write_stdin(Sandbox& sandbox,
                                                    grpc::WriteStreamRequest request) {
  const auto container = sandbox.find(request.container_id());
  if (!container)
    co_return fail(Code::kInternal,
                   fmt::format("write stdin: invalid container id '{}'", request.container_id()));
  auto process = container->process_output(request.exec_id());
  if (!process) co_return fail(Code::kInternal, process.error().to_string());
  const auto kept = *process;
  auto* stream = kept->stdio().in.get();
  if (stream == nullptr) co_return fail(Code::kInternal, "write stdin: the process has none");
  grpc::WriteStreamResponse response;
  response.set_len(static_cast<std::uint32_t>(request.data().size()));
  Status status;
  if (request.data().empty())
    status = co_await stream->close_after_writes();
  else
    status = co_await stream->write(std::move(*request.mutable_data()));
  if (!status) co_return fail(std::move(status).error());
  co_return response;
}

Task<Result<Empty>> close_stdin(Sandbox& sandbox, grpc::CloseStdinRequest request) {
  COFFER_CO_TRY(const auto container, container_of(sandbox, request));
  COFFER_CO_TRY(const auto process, container->process(request.exec_id()));
  // A terminal stays open: its other direction is still in use.
  auto* stream = process->stdio().in.get();
  if (stream == nullptr || process->stdio().terminal.valid()) co_return Empty();
  COFFER_CO_TRY_VOID(co_await stream->close_after_writes());
  co_return Empty();
}

Task<Result<Empty>> resize(Sandbox& sandbox, grpc::TtyWinResizeRequest request) {
  COFFER_CO_TRY(const auto container, container_of(sandbox, request));
  COFFER_CO_TRY(const auto process, container->process(request.exec_id()));
  const auto& terminal = process->stdio().terminal;
  if (!terminal.valid()) co_return fail(Code::kUnavailable, "\"no tty\"");
  COFFER_CO_TRY_VOID(resize_terminal(terminal.get(), request.row(), request.column()));
  co_return Empty();
}

}  // namespace

void add_stream_methods(Registrar& registrar, Sandbox& sandbox) {
  registrar.add<grpc::WriteStreamRequest, grpc::WriteStreamResponse>(
      "WriteStdin", [&sandbox](Authorized<grpc::WriteStreamRequest> request) {
        return write_stdin(sandbox, std::move(request).take());
      });
  // Gated before anything is read, unlike in Kata: a denied read consumes nothing, and says so.
  registrar.add<grpc::ReadStreamRequest, grpc::ReadStreamResponse>(
      "ReadStdout", [&sandbox](Authorized<grpc::ReadStreamRequest> request) {
        return read_stream(sandbox, std::move(request).take(), false);
      });
  registrar.add<grpc::ReadStreamRequest, grpc::ReadStreamResponse>(
      "ReadStderr", [&sandbox](Authorized<grpc::ReadStreamRequest> request) {
        return read_stream(sandbox, std::move(request).take(), true);
      });
  registrar.add<grpc::CloseStdinRequest, Empty>(
      "CloseStdin", [&sandbox](Authorized<grpc::CloseStdinRequest> request) {
        return close_stdin(sandbox, std::move(request).take());
      });
  registrar.add<grpc::TtyWinResizeRequest, Empty>(
      "TtyWinResize", [&sandbox](Authorized<grpc::TtyWinResizeRequest> request) {
        return resize(sandbox, std::move(request).take());
      });
}

}  // namespace coffer::agent
