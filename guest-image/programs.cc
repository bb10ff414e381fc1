#include "guest-image/programs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "guest-image/elf.h"

namespace coffer::guest_image {
namespace {

// Where Debian's dynamic loader looks; all of them are one folder in the image.
constexpr auto kLibraryFolders = std::to_array<std::string_view>(
    {"usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib", "lib"});
constexpr std::string_view kLibraries = "usr/lib/x86_64-linux-gnu";

struct Needed {
  std::string name, by;
};

// A program and its libraries, on their way into the tree.
class Closure {
 public:
  Closure(CpioTree& tree, const Libraries& libraries) : tree_(tree), libraries_(libraries) {}

  void add(const ElfInfo& info, const std::string& who) {
    for (const auto& name : info.needed) todo_.push_back({name, who});
    for (const auto& name : info.undefined) undefined_.emplace(name, who);
    defined_.insert(info.defined.begin(), info.defined.end());
  }
  void need(std::string name, const std::string& who) { todo_.push_back({std::move(name), who}); }

  Status resolve() {
    std::set<std::string> seen;
    while (!todo_.empty()) {
      const Needed needed = std::move(todo_.back());
      todo_.pop_back();
      if (!seen.insert(needed.name).second) continue;
      COFFER_TRY(auto library, read(needed));
      COFFER_TRY(const auto info, read_elf(as_bytes(library), needed.name));
      add(info, needed.name);
      const std::string path = fmt::format("{}/{}", kLibraries, needed.name);
      if (!tree_.contains(path)) COFFER_TRY_VOID(tree_.add_file(path, std::move(library), 0755));
    }
    return has_replacement_ ? check_symbols() : Status{};
  }

 private:
  Result<std::string> read(const Needed& needed) {
    if (const auto found = libraries_.replaced.find(needed.name);
        found != libraries_.replaced.end()) {
      has_replacement_ = true;
      return read_file(found->second);
    }
    for (const auto folder : kLibraryFolders) {
      const auto path = libraries_.root / folder / needed.name;
      if (std::error_code ignored; std::filesystem::exists(path, ignored)) return read_file(path);
    }
    return fail(Code::kNotFound,
                fmt::format("find library '{}', needed by '{}': not in {}", needed.name, needed.by,
                            (libraries_.root / kLibraryFolders.front()).string()));
  }

  // What a distribution packages fits together; what takes a library's place may not.
  Status check_symbols() const {
    std::vector<std::string> missing;
    for (const auto& [name, who] : undefined_)
      if (!defined_.contains(name)) missing.push_back(fmt::format("'{}' ({})", name, who));
    if (missing.empty()) return {};
    return fail(Code::kNotFound,
                fmt::format("link: with the replaced libraries, nothing defines {}",
                            fmt::join(missing, ", ")));
  }

  CpioTree& tree_;
  const Libraries& libraries_;
  std::vector<Needed> todo_;
  bool has_replacement_ = false;
  std::map<std::string, std::string> undefined_;  // symbol to who first asks for it
  std::set<std::string> defined_;
};

}  // namespace

Status add_program(CpioTree& tree, const std::filesystem::path& program, std::string_view as,
                   const Libraries& libraries) {
  COFFER_TRY(auto content, read_file(program));
  COFFER_TRY(const auto info, read_elf(as_bytes(content), program.string()));
  COFFER_TRY_VOID(tree.add_file(as, std::move(content), 0755));
  Closure closure(tree, libraries);
  closure.add(info, program.string());
  if (info.interpreter) {
    const std::string path = info.interpreter->substr(info.interpreter->find_first_not_of('/'));
    const auto name = std::filesystem::path(path).filename().string();
    closure.need(name, program.string());
    if (!tree.contains(path)) {
      COFFER_TRY_VOID(tree.add_symlink(path, fmt::format("/{}/{}", kLibraries, name)));
    }
  }
  if (auto status = closure.resolve(); !status)
    return fail(
        std::move(status).error().add_context(fmt::format("add program '{}'", program.string())));
  return {};
}

}  // namespace coffer::guest_image
