#include "shim/sandbox/role.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/json.h"

namespace coffer::shim {
namespace {

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

struct Engine {
  std::string_view type_key, sandbox_value, container_value, sandbox_id_key;
};

constexpr std::array kEngines = {
    Engine{.type_key = "io.kubernetes.cri.container-type",
           .sandbox_value = "sandbox",
           .container_value = "container",
           .sandbox_id_key = "io.kubernetes.cri.sandbox-id"},
    Engine{.type_key = "io.kubernetes.cri-o.ContainerType",
           .sandbox_value = "sandbox",
           .container_value = "container",
           .sandbox_id_key = "io.kubernetes.cri-o.SandboxID"},
    Engine{.type_key = "io.kubernetes.docker.type",
           .sandbox_value = "podsandbox",
           .container_value = "container",
           .sandbox_id_key = "io.kubernetes.sandbox.id"},
};

Result<Placement> place_by(const Engine& engine, std::string_view type,
                           const Annotations& annotations, std::string_view own_id) {
  if (type == engine.sandbox_value) {
    return Placement{.role = Role::kSandbox, .sandbox_id = std::string(own_id)};
  }
  if (type != engine.container_value) {
    return fail(Code::kInvalidArgument,
                fmt::format("read annotation '{}': want '{}' or '{}', got '{}'", engine.type_key,
                            engine.sandbox_value, engine.container_value, type));
  }
  const auto found = annotations.find(engine.sandbox_id_key);
  if (found == annotations.end()) {
    return fail(Code::kInvalidArgument,
                fmt::format("find the sandbox of container '{}': annotation '{}' is missing",
                            own_id, engine.sandbox_id_key));
  }
  COFFER_TRY_VOID(check_identifier(engine.sandbox_id_key, found->second));
  return Placement{.role = Role::kContainer, .sandbox_id = found->second};
}

}  // namespace

Status check_identifier(std::string_view what, std::string_view id) {
  constexpr std::size_t kMaxLength = 128;
  const bool good = !id.empty() && id.size() <= kMaxLength && is_alphanumeric(id.front()) &&
                    std::ranges::all_of(id, [](char c) {
                      return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
                    });
  if (good) return {};
  return fail(Code::kInvalidArgument,
              fmt::format("check {} '{}': want 1 to {} letters, digits, '.', '_' or '-', a letter "
                          "or digit first",
                          what, id.substr(0, kMaxLength), kMaxLength));
}

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kSandbox:
      return "pod_sandbox";
    case Role::kContainer:
      return "pod_container";
    case Role::kSingle:
      break;
  }
  return "single_container";
}

Result<Placement> place(const Annotations& annotations, std::string_view own_id) {
  for (const Engine& engine : kEngines) {
    const auto type = annotations.find(engine.type_key);
    if (type != annotations.end()) return place_by(engine, type->second, annotations, own_id);
  }
  return Placement{.role = Role::kSingle, .sandbox_id = std::string(own_id)};
}

Result<Annotations> read_annotations(const std::filesystem::path& bundle) {
  COFFER_TRY(const std::string text, read_file(bundle / "config.json", std::size_t{16} << 20U));
  COFFER_TRY(const nlohmann::json document, parse_json(text, "config.json"));
  Annotations annotations;
  const auto found = document.is_object() ? document.find("annotations") : document.end();
  if (!document.is_object() || found == document.end() || !found->is_object()) return annotations;
  for (const auto& [key, value] : found->items()) {
    if (!value.is_string()) {
      return fail(Code::kInvalidArgument,
                  fmt::format("read 'config.json': annotation '{}' is no string", key));
    }
    annotations.emplace(key, value.get<std::string>());
  }
  return annotations;
}

}  // namespace coffer::shim
