// What a bundle is in its pod: the sandbox, one of its containers, or both at once. Told by the
// annotations that the CRI engines set.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer::shim {

// Letters, digits, '.', '_' and '-', at most 128 bytes, beginning with a letter or digit: what
// containerd allows, and what is safe as one path component.
[[nodiscard]] Status check_identifier(std::string_view what, std::string_view id);

enum class Role {
  kSandbox,    // the pod's pause container, which owns the VM
  kContainer,  // runs in the VM of the sandbox named by `sandbox_id`
  kSingle,     // ctr, nerdctl, docker: sandbox and workload in one
};

// The value of Kata's annotation io.katacontainers.pkg.oci.container_type.
[[nodiscard]] std::string_view role_name(Role role);

struct Placement {
  Role role = Role::kSingle;
  std::string sandbox_id;
};

using Annotations = std::map<std::string, std::string, std::less<>>;

// Looks for containerd's, CRI-O's and dockershim's keys, in this order. `own_id` becomes the
// sandbox's id when no engine says otherwise. kInvalidArgument on a type that is neither sandbox
// nor container, a container without a sandbox id, or an id that is no identifier.
[[nodiscard]] Result<Placement> place(const Annotations& annotations, std::string_view own_id);

// The annotations of BUNDLE/config.json.
[[nodiscard]] Result<Annotations> read_annotations(const std::filesystem::path& bundle);

}  // namespace coffer::shim
