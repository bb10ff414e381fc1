// containerd's task service, v2 and v3 (which differ in name only), over a pod.
#pragma once

#include <string>

#include "base/log.h"
#include "base/loop.h"
#include "rpc/protos/task.pb.h"
#include "rpc/ttrpc/router.h"
#include "shim/task/pod.h"

namespace coffer::shim {

class TaskService {
 public:
  // `pod` must outlive the service. `shut_down` is set when containerd wants the process to end.
  TaskService(Pod& pod, Event& shut_down, std::string env_config, bool host_has_cgroup_v2,
              Logger log);

  // The service must outlive the router's server.
  void add_to(rpc::Router& router);

 private:
  template <typename T>
  using Answer = Task<Result<T>>;
  using Empty = google::protobuf::Empty;

  Answer<containerd::task::v2::StateResponse> state(containerd::task::v2::StateRequest request);
  Answer<containerd::task::v2::CreateTaskResponse> create(
      containerd::task::v2::CreateTaskRequest request);
  Answer<containerd::task::v2::StartResponse> start(containerd::task::v2::StartRequest request);
  Answer<containerd::task::v2::DeleteResponse> remove(containerd::task::v2::DeleteRequest request);
  Answer<containerd::task::v2::PidsResponse> pids(containerd::task::v2::PidsRequest request);
  Answer<Empty> pause(containerd::task::v2::PauseRequest request);
  Answer<Empty> resume(containerd::task::v2::ResumeRequest request);
  Answer<Empty> checkpoint(containerd::task::v2::CheckpointTaskRequest request);
  Answer<Empty> kill(containerd::task::v2::KillRequest request);
  Answer<Empty> exec(containerd::task::v2::ExecProcessRequest request);
  Answer<Empty> resize(containerd::task::v2::ResizePtyRequest request);
  Answer<Empty> close_io(containerd::task::v2::CloseIORequest request);
  Answer<Empty> update(containerd::task::v2::UpdateTaskRequest request);
  Answer<containerd::task::v2::WaitResponse> wait(containerd::task::v2::WaitRequest request);
  Answer<containerd::task::v2::StatsResponse> stats(containerd::task::v2::StatsRequest request);
  Answer<containerd::task::v2::ConnectResponse> connect(
      containerd::task::v2::ConnectRequest request);
  Answer<Empty> shutdown(containerd::task::v2::ShutdownRequest request);

  Pod& pod_;
  Event& shut_down_;
  std::string env_config_;
  bool cgroup_v2_;
  Logger log_;
};

// Where the configuration is, by the options that came with Create: an Any of
// runtimeoptions.v1.Options, one of containerd.runc.v1.Options (passed over), or nothing.
[[nodiscard]] Result<ConfigSources> config_sources(const google::protobuf::Any& options,
                                                   const std::string& env_config);

}  // namespace coffer::shim
