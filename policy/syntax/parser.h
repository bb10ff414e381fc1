// Rego text to syntax trees.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "policy/syntax/ast.h"

namespace coffer::policy {

struct ParseOptions {
  RegoVersion version = RegoVersion::kV1;
  // Accept `import future.keywords.and` / `.or`, which OPA keeps experimental.
  bool experimental_keywords = false;
  std::size_t max_bytes = std::size_t{16} << 20U;
  // Nesting of terms and bodies.
  std::uint32_t max_depth = 400;
};

// kInvalidArgument with every error found, each with file, line, column and a caret.
[[nodiscard]] Result<std::unique_ptr<Module>> parse_module(std::string name, std::string text,
                                                           const ParseOptions& options = {});
// A query is a body; the module that comes back has no package and one rule, which holds it.

[[nodiscard]] Result<std::unique_ptr<Module>> parse_query(std::string name, std::string text,
                                                          const ParseOptions& options = {});

}  // namespace coffer::policy
