// What the host can send to the agent, up to the point of side effects: any payload for any method
// is parsed and converted as its handler would. First byte: the method's index in the service.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "guest-agent/bundle.h"
#include "guest-agent/cgroup.h"
#include "guest-agent/container.h"
#include "guest-agent/device.h"
#include "guest-agent/mount_options.h"
#include "guest-agent/mounts.h"
#include "guest-agent/namespaces.h"
#include "guest-agent/spec.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::agent {
namespace {

void look_at(const grpc::Storage& storage) {
  const std::vector<std::string> options(storage.options().begin(), storage.options().end());
  std::ignore = parse_mount_options(options);
  std::ignore = check_path(storage.mount_point(), "mount point");
  std::ignore = check_pci_path(storage.source());
}

// What is accepted must be what crun can be given: valid JSON, with the namespaces that we chose.
void look_at(const grpc::Spec& spec) {
  auto config = oci_spec(spec);
  if (!config) return;
  const SandboxNamespaces namespaces("/run/sandbox-ns");
  if (!place_in_sandbox(*config, namespaces, false)) return;
  for (const auto& one : (*config)["linux"]["namespaces"])
    if (one.contains("path"))
      check(one["path"].get<std::string>().starts_with("/run/sandbox-ns/"), "a foreign namespace");
  for (const auto& [key, value] : spec.linux().sysctl()) std::ignore = sysctl_path(key);
  const auto cgroup = Cgroup::at("/sys/fs/cgroup", spec.linux().cgroupspath());
  if (cgroup)
    check(cgroup->directory().lexically_normal().native().starts_with("/sys/fs/cgroup/"),
          "a cgroup outside of the root");
}

void look_at(const google::protobuf::Message& message) {
  if (const auto* create = dynamic_cast<const grpc::CreateContainerRequest*>(&message)) {
    std::ignore = check_container_id(create->container_id());
    look_at(create->oci());
    for (const auto& storage : create->storages()) look_at(storage);
  } else if (const auto* sandbox = dynamic_cast<const grpc::CreateSandboxRequest*>(&message)) {
    for (const auto& storage : sandbox->storages()) look_at(storage);
  } else if (const auto* exec = dynamic_cast<const grpc::ExecProcessRequest*>(&message)) {
    std::ignore = oci_process(exec->process());
  } else if (const auto* update = dynamic_cast<const grpc::UpdateContainerRequest*>(&message)) {
    std::ignore = oci_resources(update->resources());
  } else if (const auto* copy = dynamic_cast<const grpc::CopyFileRequest*>(&message)) {
    std::ignore = check_path(copy->path(), "path");
  }
}

}  // namespace
}  // namespace coffer::agent

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using google::protobuf::MessageFactory;
  if (size == 0) return 0;
  const auto* service =
      grpc::CreateSandboxRequest::descriptor()->file()->FindServiceByName("AgentService");
  const auto* method = service->method(data[0] % service->method_count());
  const std::unique_ptr<google::protobuf::Message> message(
      MessageFactory::generated_factory()->GetPrototype(method->input_type())->New());
  if (message->ParseFromArray(data + 1, static_cast<int>(size - 1)))
    coffer::agent::look_at(*message);
  return 0;
}
