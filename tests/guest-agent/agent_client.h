// A small vocabulary for talking to an agent in tests: connect, call, run a process, read it dry.
#pragma once

#include <google/protobuf/empty.pb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/loop.h"
#include "rpc/protos/agent.pb.h"
#include "rpc/ttrpc/client.h"
#include "rpc/ttrpc/typed.h"

namespace coffer::agent {

using Empty = google::protobuf::Empty;

// An invalid Fd when nobody listens there (yet).
inline Fd connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof(address.sun_path) - 1));
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(fd.get(), generic, sizeof(address)) != 0) return Fd();
  return fd;
}

class AgentClient {
 public:
  explicit AgentClient(Fd connected)
      : client_(std::make_unique<rpc::Client>(loop_.get_executor(), std::move(connected))) {}

  // Runs `task` to its end, and whatever else is under way meanwhile.
  template <typename T>
  T run(Task<T> task) {
    std::optional<T> result;
    asio::co_spawn(loop_, std::move(task), [&](const std::exception_ptr& error, T value) {
      if (error) std::rethrow_exception(error);
      result.emplace(std::move(value));
    });
    loop_.restart();
    while (!result && loop_.run_one() > 0) {
    }
    check(result.has_value(), "the task did not end");
    return *std::move(result);
  }

  template <typename Response, typename Request>
  Task<Result<Response>> start(std::string method, Request request,
                               std::string service = "grpc.AgentService") {
    co_return co_await rpc::call<Response>(*client_, std::move(service), std::move(method),
                                           request);
  }

  template <typename Response, typename Request>
  Result<Response> call(std::string method, const Request& request,
                        std::string service = "grpc.AgentService") {
    return run(start<Response>(std::move(method), request, std::move(service)));
  }

  // Reads a stream of a process to its end.
  Task<Result<std::string>> drain(std::string method, std::string id, std::string exec_id,
                                  std::uint32_t chunk = 65536) {
    std::string all;
    for (;;) {
      grpc::ReadStreamRequest request;
      request.set_container_id(id);
      request.set_exec_id(exec_id);
      request.set_len(chunk);
      auto part = co_await start<grpc::ReadStreamResponse>(method, request);
      if (!part) co_return fail(std::move(part).error());
      if (part->data().empty()) co_return all;
      all += part->data();
    }
  }

  Result<Empty> start_container(const std::string& id) {
    grpc::StartContainerRequest request;
    request.set_container_id(id);
    return call<Empty>("StartContainer", request);
  }
  Result<Empty> exec(const std::string& id, const std::string& exec_id,
                     const std::vector<std::string>& args) {
    grpc::ExecProcessRequest request;
    request.set_container_id(id);
    request.set_exec_id(exec_id);
    auto& process = *request.mutable_process();
    for (const auto& argument : args) process.add_args(argument);
    process.add_env("PATH=/bin");
    return call<Empty>("ExecProcess", request);
  }
  Result<int> wait(const std::string& id, const std::string& exec_id = "") {
    grpc::WaitProcessRequest request;
    request.set_container_id(id);
    request.set_exec_id(exec_id);
    COFFER_TRY(const auto response, call<grpc::WaitProcessResponse>("WaitProcess", request));
    return response.status();
  }
  Result<Empty> kill(const std::string& id, unsigned signal, const std::string& exec_id = "") {
    grpc::SignalProcessRequest request;
    request.set_container_id(id);
    request.set_exec_id(exec_id);
    request.set_signal(signal);
    return call<Empty>("SignalProcess", request);
  }
  Result<Empty> remove(const std::string& id) {
    grpc::RemoveContainerRequest request;
    request.set_container_id(id);
    return call<Empty>("RemoveContainer", request);
  }

  [[nodiscard]] asio::any_io_executor executor() { return loop_.get_executor(); }

 private:
  asio::io_context loop_{1};
  std::unique_ptr<rpc::Client> client_;
};

// The spec of a container that runs `args` on `rootfs`.
inline grpc::CreateContainerRequest container_request(const std::string& id,
                                                      const std::string& rootfs,
                                                      const std::vector<std::string>& args) {
  grpc::CreateContainerRequest request;
  request.set_container_id(id);
  auto& spec = *request.mutable_oci();
  spec.set_version("1.0.2");
  spec.mutable_root()->set_path(rootfs);
  auto& process = *spec.mutable_process();
  for (const auto& argument : args) process.add_args(argument);
  process.add_env("PATH=/bin");
  process.set_cwd("/");
  auto& capabilities = *process.mutable_capabilities();
  for (auto* list : {capabilities.mutable_bounding(), capabilities.mutable_effective(),
                     capabilities.mutable_permitted()})
    for (const char* name : {"CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"})
      *list->Add() = name;
  const auto add_mount = [&](const char* destination, const char* type,
                             const std::vector<std::string>& options) {
    auto& mount = *spec.add_mounts();
    mount.set_destination(destination);
    mount.set_source(type);
    mount.set_type(type);
    for (const auto& option : options) mount.add_options(option);
  };
  add_mount("/proc", "proc", {"nosuid", "noexec", "nodev"});
  add_mount("/dev", "tmpfs", {"nosuid", "strictatime", "mode=755"});
  add_mount("/dev/pts", "devpts",
            {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"});
  auto& os = *spec.mutable_linux();
  for (const char* type : {"mount", "ipc", "uts"}) os.add_namespaces()->set_type(type);
  for (const char* path : {"/proc/kcore", "/proc/acpi", "/sys/firmware"}) os.add_maskedpaths(path);
  os.add_readonlypaths("/proc/sys");
  return request;
}

}  // namespace coffer::agent
