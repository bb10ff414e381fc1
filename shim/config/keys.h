// The schema: every key of Kata's configuration, what type it has, and what it sets.
#pragma once

#include <span>
#include <string_view>

#include "base/error.h"
#include "shim/config/config.h"
#include "shim/config/value.h"

namespace coffer::shim {

using Setter = Status (*)(Config& config, const Value& value);

struct Key {
  std::string_view section;  // "hypervisor.qemu"
  std::string_view name;
  Kind kind;
  Setter set;  // null: known, but Coffer does not support it
  // For an unsupported key: the value that asks for nothing, besides empty, zero and false. Any
  // other deserves a warning.
  std::string_view inert = {};
};

[[nodiscard]] std::span<const Key> all_keys();
[[nodiscard]] const Key* find_key(std::string_view section, std::string_view name);
// Whether some key's section is `name` or stands below it.
[[nodiscard]] bool is_section(std::string_view name);

// Checks the type and sets. An integer serves as a number.
[[nodiscard]] Status set_key(const Key& key, Config& config, const Value& value);

}  // namespace coffer::shim
