// One task of containerd's: a container, its init process, and the processes executed in it.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "shim/sandbox/role.h"
#include "shim/sandbox/sandbox.h"
#include "shim/task/events.h"
#include "shim/task/process.h"

namespace coffer::shim {

struct ContainerSetup {
  std::string id;
  std::filesystem::path bundle;
  Role role = Role::kSingle;
  StdioPaths stdio;
  std::string containerd_namespace;
  grpc::Process process;         // init's, as the host has it; what execs fall back on
  std::string termination_file;  // host file of the termination message, or ""
};

// Calls that change a container take its lock; those that look, wait or signal do not, so that
// nothing slow blocks them.
class Container {
 public:
  // `sandbox` and `events` must outlive the container. `on_init_exit` is called after init's exit
  // has been published.
  Container(asio::any_io_executor executor, ContainerSetup setup, Sandbox& sandbox,
            EventPublisher& events, std::function<void()> on_init_exit, Logger log);
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;
  // close() first.
  ~Container();

  [[nodiscard]] const ContainerSetup& setup() const { return setup_; }
  [[nodiscard]] std::uint32_t pid() const { return sandbox_.pid(); }
  [[nodiscard]] bool paused() const { return paused_; }
  [[nodiscard]] AsyncMutex& mutex() { return mutex_; }

  // kNotFound for an exec that is not known. "" is init.
  [[nodiscard]] Result<std::shared_ptr<Process>> find(const std::string& exec_id) const;
  [[nodiscard]] std::shared_ptr<Process> init() const { return init_; }

  // Opens init's stdio.
  [[nodiscard]] Task<Status> open();
  [[nodiscard]] Task<Status> start(const std::string& exec_id);
  [[nodiscard]] Task<Status> add_exec(std::string exec_id, grpc::Process spec, StdioPaths paths);
  // The exit of the removed exec.
  [[nodiscard]] Task<Result<ProcessExit>> delete_exec(std::string exec_id);
  [[nodiscard]] Task<Status> kill(std::string exec_id, std::uint32_t signal, bool all);
  [[nodiscard]] Task<Status> pause();
  [[nodiscard]] Task<Status> resume();

  // Ends an init that never ran.
  void end_unstarted(std::uint32_t status);
  // Publishes OOM. Called by the sandbox, before the exit that it caused.
  void note_oom();
  // Ends all streams and waits for what runs here.
  Task<void> close();

 private:
  struct Exec {
    std::shared_ptr<Process> process;
    grpc::Process spec;
  };

  Task<void> follow(std::shared_ptr<Process> process);
  Task<void> copy_termination_message();
  void publish_exit(const Process& process);
  [[nodiscard]] Task<Status> set_paused(bool paused);

  ContainerSetup setup_;
  Sandbox& sandbox_;
  EventPublisher& events_;
  std::function<void()> on_init_exit_;
  Logger log_;
  asio::any_io_executor executor_;
  AsyncMutex mutex_;
  std::shared_ptr<Process> init_;  // shared: with calls that wait on it
  std::map<std::string, Exec, std::less<>> execs_;
  bool paused_ = false;
  Scope scope_;
};

}  // namespace coffer::shim
