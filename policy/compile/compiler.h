// Modules to a program: names, safety, recursion, code.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/compile/program.h"
#include "policy/syntax/ast.h"

namespace coffer::policy {

struct Program {
  RuleNode root;  // `data`
  std::uint32_t slots = 0;
  std::vector<SourcePtr> sources;
};

struct CompilerOptions {
  bool optimise = true;
  // Functions beside OPA's; must outlive the program. One of a builtin's name is never seen, and
  // `with` cannot replace one.
  std::span<const Builtin> host_functions = {};
};

// The modules are used up: their trees are changed while compiling.
[[nodiscard]] Result<std::unique_ptr<Program>> compile_modules(
    std::vector<std::unique_ptr<Module>> modules, const CompilerOptions& options = {});

struct CompiledQuery {
  Function function;
  std::vector<std::string> variables;    // lead each row
  std::vector<std::string> expressions;  // texts of the expressions whose values follow
  std::vector<Location> locations;       // where they stand
  SourcePtr source;
  // The query replaces parts of `data`: needs a program whose constants are not folded.
  bool replaces_data = false;
};
[[nodiscard]] Result<CompiledQuery> compile_query(Program& program, std::unique_ptr<Module> query,
                                                  const CompilerOptions& options = {});

// Whether any statement of the module has a `with data...`.
[[nodiscard]] bool replaces_data(const Module& module);

}  // namespace coffer::policy
