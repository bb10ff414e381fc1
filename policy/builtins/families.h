// The tables of builtins, one per family, beyond those of the language core (registry.h).
#pragma once

#include <span>

#include "policy/builtins/registry.h"

namespace coffer::policy {

[[nodiscard]] std::span<const Builtin> bits_builtins();
[[nodiscard]] std::span<const Builtin> crypto_builtins();
[[nodiscard]] std::span<const Builtin> document_builtins();
[[nodiscard]] std::span<const Builtin> encoding_builtins();
[[nodiscard]] std::span<const Builtin> glob_builtins();
[[nodiscard]] std::span<const Builtin> graph_builtins();
[[nodiscard]] std::span<const Builtin> graphql_builtins();
[[nodiscard]] std::span<const Builtin> json_schema_builtins();
[[nodiscard]] std::span<const Builtin> jwt_builtins();
[[nodiscard]] std::span<const Builtin> net_builtins();
[[nodiscard]] std::span<const Builtin> number_builtins();
[[nodiscard]] std::span<const Builtin> regex_builtins();
[[nodiscard]] std::span<const Builtin> refused_builtins();
[[nodiscard]] std::span<const Builtin> semver_builtins();
[[nodiscard]] std::span<const Builtin> sprintf_builtins();
[[nodiscard]] std::span<const Builtin> text_builtins();
[[nodiscard]] std::span<const Builtin> time_builtins();
[[nodiscard]] std::span<const Builtin> units_builtins();
[[nodiscard]] std::span<const Builtin> uri_builtins();
[[nodiscard]] std::span<const Builtin> uuid_builtins();
[[nodiscard]] std::span<const Builtin> x509_builtins();

}  // namespace coffer::policy
