// The encoding of requests as policy input: any payload for any method of the agent's API, then a
// policy that looks at all of it. First byte: the method's index in the service.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/stubs/logging.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>

#include "base/error.h"
#include "policy/agent/agent_policy.h"
#include "policy/agent/request_defaults.h"
#include "policy/agent/request_input.h"
#include "policy/value/json.h"
#include "rpc/protos/agent.pb.h"

namespace {

using coffer::check;
using namespace coffer::policy;
using google::protobuf::Descriptor;
using google::protobuf::Message;

constexpr const char* kPolicy = R"(package agent_policy
default CreateContainerRequest := {"allowed": false}
CreateContainerRequest := {"allowed": true, "ops": ops} if {
	every mount in input.OCI.Mounts { not contains(mount.source, "..") }
	every env in input.OCI.Process.Env { count(split(env, "=")) > 1 }
	ops := [{"op": "add", "path": concat("/", ["/pstate", input.container_id]), "value": input.OCI}]
}
CopyFileRequest if {
	regex.match(`^/run/`, input.path)
	input.file_type != "Symlink"
}
default ExecProcessRequest := false
ExecProcessRequest if { some id, spec in data.pstate; id == input.container_id; spec.Version }
SetPolicyRequest if count([node | walk(input, [_, node])]) > 1
)";

// Every field of the message is a key, by the name it has in the .proto, but for "type".
void check_shape(const Descriptor& type, const Value& encoded) {
  check(encoded.is_object(), "a message is encoded as something else than an object");
  if (type.name() == "CopyFileRequest") {
    check(encoded.size() == 9 && encoded.find("data") == nullptr, "a copied file's data is shown");
    return;
  }
  int keys = type.real_oneof_decl_count();
  for (int i = 0; i < type.field_count(); ++i) {
    if (type.field(i)->real_containing_oneof() != nullptr) continue;
    const std::string& name = type.field(i)->name();
    check(encoded.find(name == "type" ? "type_" : name) != nullptr, "a field is left out");
    ++keys;
  }
  check(encoded.size() == static_cast<std::size_t>(keys), "a key that is no field");
}

void look_at(const Message& message) {
  // Warm from other requests, as the agent's is, and fresh: neither may show in the answer.
  static RequestEncoder& warm = *new RequestEncoder;
  const auto encoded = warm.encode(message);
  const auto again = RequestEncoder().encode(message);
  check(encoded.has_value() == again.has_value(), "an encoder's past changes its verdict");
  if (!encoded) return;
  check(*encoded == *again, "an encoder's past changes its output");
  const Descriptor& type = *message.GetDescriptor();
  check_shape(type, *encoded);
  const auto json = parse_json(to_json(*encoded), "request");
  check(json.has_value() && *json == *encoded, "a request does not survive as JSON");
  const auto complete = complete_request(type.name(), *encoded);
  check(complete.has_value() && *complete == *encoded, "a whole request gains by completion");

  auto policy = AgentPolicy::load("fuzz.rego", kPolicy);
  check(policy.has_value(), "the policy does not compile");
  for (int round = 0; round < 2; ++round) {
    const Decision decision = (*policy)->evaluate(type.name(), *encoded);
    check(decision.allowed || !decision.reason.empty() || !decision.failure.empty(),
          "a refusal without a reason");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using google::protobuf::MessageFactory;
  if (size == 0) return 0;
  static const bool quiet = [] { return google::protobuf::SetLogHandler(nullptr) != nullptr; }();
  std::ignore = quiet;
  const auto* service =
      grpc::CreateSandboxRequest::descriptor()->file()->FindServiceByName("AgentService");
  const auto* method = service->method(data[0] % service->method_count());
  const std::unique_ptr<Message> message(
      MessageFactory::generated_factory()->GetPrototype(method->input_type())->New());
  if (message->ParseFromArray(data + 1, static_cast<int>(size - 1))) look_at(*message);
  return 0;
}
