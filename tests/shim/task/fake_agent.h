// A guest agent of the test's own: answers over a socket pair, holds processes whose output the
// test feeds and whose end it decides, and notes what it was asked.
#pragma once

#include <sys/socket.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/loop.h"
#include "rpc/protos/agent.pb.h"
#include "rpc/protos/health.pb.h"
#include "rpc/ttrpc/server.h"
#include "rpc/ttrpc/typed.h"

namespace coffer::shim::testing {

class FakeAgent {
 public:
  using Empty = google::protobuf::Empty;
  static constexpr std::size_t kOutputQueue = 1024;

  struct FakeProcess {
    explicit FakeProcess(const asio::any_io_executor& executor)
        : out(executor, kOutputQueue), err(executor, kOutputQueue), status(executor) {}
    Queue<std::string> out, err;
    Future<int> status;
    std::string in;
    bool in_closed = false;
    std::vector<std::uint32_t> signals;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> sizes;

    void exit(int code) {
      status.set(code);
      out.close();
      err.close();
    }
  };

  explicit FakeAgent(asio::any_io_executor executor)
      : executor_(executor), oom_(executor, kOutputQueue) {
    add<grpc::CreateSandboxRequest, Empty>("CreateSandbox",
                                           [this](auto request) { sandbox = std::move(request); });
    add<grpc::CreateContainerRequest, Empty>("CreateContainer", [this](auto request) {
      process(request.container_id(), "");
      containers.push_back(std::move(request));
    });
    add<grpc::StartContainerRequest, Empty>("StartContainer", [](auto) {});
    add<grpc::ExecProcessRequest, Empty>("ExecProcess", [this](auto request) {
      process(request.container_id(), request.exec_id());
      execs.push_back(std::move(request));
    });
    add<grpc::RemoveContainerRequest, Empty>("RemoveContainer", [](auto) {});
    add<grpc::DestroySandboxRequest, Empty>("DestroySandbox", [](auto) {});
    add<grpc::PauseContainerRequest, Empty>("PauseContainer", [](auto) {});
    add<grpc::ResumeContainerRequest, Empty>("ResumeContainer", [](auto) {});
    add<grpc::UpdateContainerRequest, Empty>("UpdateContainer", [](auto) {});
    add<grpc::CopyFileRequest, Empty>(
        "CopyFile", [this](auto request) { files.push_back(std::move(request)); });
    add<grpc::SignalProcessRequest, Empty>("SignalProcess", [this](auto request) {
      FakeProcess& target = *process(request.container_id(), request.exec_id());
      target.signals.push_back(request.signal());
      if (die_of_signals && (request.signal() == 9 || request.signal() == 15)) {
        target.exit(128 + static_cast<int>(request.signal()));
      }
    });
    add<grpc::TtyWinResizeRequest, Empty>("TtyWinResize", [this](auto request) {
      process(request.container_id(), request.exec_id())
          ->sizes.emplace_back(request.column(), request.row());
    });
    add<grpc::CloseStdinRequest, Empty>("CloseStdin", [this](auto request) {
      process(request.container_id(), request.exec_id())->in_closed = true;
    });
    answer<grpc::WriteStreamRequest, grpc::WriteStreamResponse>(
        "WriteStdin",
        [this](grpc::WriteStreamRequest request) -> Task<Result<grpc::WriteStreamResponse>> {
          process(request.container_id(), request.exec_id())->in += request.data();
          grpc::WriteStreamResponse response;
          response.set_len(static_cast<std::uint32_t>(request.data().size()));
          co_return response;
        });
    answer<grpc::ReadStreamRequest, grpc::ReadStreamResponse>(
        "ReadStdout", [this](grpc::ReadStreamRequest request) {
          return read(process(request.container_id(), request.exec_id()), false);
        });
    answer<grpc::ReadStreamRequest, grpc::ReadStreamResponse>(
        "ReadStderr", [this](grpc::ReadStreamRequest request) {
          return read(process(request.container_id(), request.exec_id()), true);
        });
    answer<grpc::WaitProcessRequest, grpc::WaitProcessResponse>(
        "WaitProcess", [this](grpc::WaitProcessRequest request) {
          return wait(process(request.container_id(), request.exec_id()));
        });
    answer<grpc::GetOOMEventRequest, grpc::OOMEvent>(
        "GetOOMEvent", [this](grpc::GetOOMEventRequest) { return next_oom(); });
    answer<grpc::GetDiagnosticDataRequest, grpc::GetDiagnosticDataResponse>(
        "GetDiagnosticData",
        [this](grpc::GetDiagnosticDataRequest) -> Task<Result<grpc::GetDiagnosticDataResponse>> {
          grpc::GetDiagnosticDataResponse response;
          response.set_data(termination_message);
          co_return response;
        });
    answer<grpc::StatsContainerRequest, grpc::StatsContainerResponse>(
        "StatsContainer",
        [this](grpc::StatsContainerRequest) -> Task<Result<grpc::StatsContainerResponse>> {
          co_return stats;
        });
    rpc::add<grpc::CheckRequest, grpc::HealthCheckResponse>(
        router_, "grpc.Health", "Check",
        [](rpc::CallContext, grpc::CheckRequest) -> Task<Result<grpc::HealthCheckResponse>> {
          co_return grpc::HealthCheckResponse();
        });
  }
  FakeAgent(const FakeAgent&) = delete;
  FakeAgent& operator=(const FakeAgent&) = delete;
  ~FakeAgent() = default;

  // Serves from now on; returns the client's end.
  Fd connect() {
    std::array<int, 2> ends{};
    check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0,
          "socketpair failed");
    if (!server_) server_ = std::make_unique<rpc::Server>(executor_, router_);
    server_->serve(Fd(ends[1]));
    return Fd(ends[0]);
  }
  // As when the VM is killed.
  void vanish() { server_.reset(); }
  void oom(std::string container_id) { oom_.try_push(container_id); }

  // Made when first named.
  FakeProcess* process(const std::string& container_id, const std::string& exec_id) {
    auto& found = processes_[{container_id, exec_id}];
    if (!found) found = std::make_unique<FakeProcess>(executor_);
    return found.get();
  }

  // Fails the next call of `method`.
  void fail_next(const std::string& method, Error error) { failures_.emplace(method, error); }
  // Calls of `method` wait until the event is set.
  void hold(const std::string& method, std::shared_ptr<Event> until) { held_[method] = until; }

  bool die_of_signals = true;
  std::string termination_message;
  std::vector<std::string> calls;
  grpc::CreateSandboxRequest sandbox;
  std::vector<grpc::CreateContainerRequest> containers;
  std::vector<grpc::ExecProcessRequest> execs;
  std::vector<grpc::CopyFileRequest> files;
  grpc::StatsContainerResponse stats;

 private:
  template <typename Req, typename Resp>
  void answer(const std::string& method, std::function<Task<Result<Resp>>(Req)> handler) {
    rpc::add<Req, Resp>(
        router_, "grpc.AgentService", method,
        [this, method, handler](rpc::CallContext, Req request) -> Task<Result<Resp>> {
          calls.push_back(method);
          if (const auto held = held_.find(method); held != held_.end()) {
            const std::shared_ptr<Event> until = held->second;
            co_await until->wait();
          }
          if (const auto failure = failures_.find(method); failure != failures_.end()) {
            const Error error = failure->second;
            failures_.erase(failure);
            co_return std::unexpected(error);
          }
          Result<Resp> response = co_await handler(std::move(request));
          co_return response;
        });
  }
  template <typename Req, typename Resp>
  void add(const std::string& method, std::function<void(Req)> note) {
    answer<Req, Resp>(method, [note](Req request) -> Task<Result<Resp>> {
      note(std::move(request));
      co_return Resp();
    });
  }

  Task<Result<grpc::ReadStreamResponse>> read(FakeProcess* from, bool err) {
    grpc::ReadStreamResponse response;
    std::optional<std::string> chunk = co_await (err ? from->err : from->out).pop();
    if (chunk) response.set_data(*std::move(chunk));
    co_return response;
  }
  Task<Result<grpc::WaitProcessResponse>> wait(FakeProcess* process) {
    const std::optional<int> code = co_await process->status.wait();
    grpc::WaitProcessResponse response;
    response.set_status(*code);
    co_return response;
  }
  Task<Result<grpc::OOMEvent>> next_oom() {
    std::optional<std::string> id = co_await oom_.pop();
    grpc::OOMEvent event;
    if (id) event.set_container_id(*id);
    co_return event;
  }

  asio::any_io_executor executor_;
  rpc::Router router_;
  std::unique_ptr<rpc::Server> server_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<FakeProcess>> processes_;
  std::multimap<std::string, Error> failures_;
  std::map<std::string, std::shared_ptr<Event>> held_;
  Queue<std::string> oom_;
};

}  // namespace coffer::shim::testing
