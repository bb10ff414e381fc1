// The OCI runtime specification (v1.0 to v1.2) from its JSON into the agent's own messages. Says
// what the document says and decides nothing; what the guest gets is decided in guest_spec.
#pragma once

#include <string_view>

#include "base/error.h"
#include "rpc/protos/oci.pb.h"

namespace coffer::shim {

// config.json. kInvalidArgument on malformed JSON, a value of a wrong type or out of range, and a
// specification without process or root. Unknown members are passed over: the standard grows.
// Hooks, block-I/O limits and Intel RDT, which never reach a guest, are not translated.
[[nodiscard]] Result<grpc::Spec> parse_oci_spec(std::string_view text);

// The `process` object that Exec carries.
[[nodiscard]] Result<grpc::Process> parse_oci_process(std::string_view text);

// The `linux.resources` object that Update carries.
[[nodiscard]] Result<grpc::LinuxResources> parse_oci_resources(std::string_view text);

}  // namespace coffer::shim
