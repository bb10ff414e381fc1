#include "guest-image/programs.h"

#include <fmt/format.h>

#include <array>
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

Result<std::string> read_library(const std::filesystem::path& root, const Needed& needed) {
  for (const auto folder : kLibraryFolders) {
    const auto path = root / folder / needed.name;
    if (std::error_code ignored; std::filesystem::exists(path, ignored)) return read_file(path);
  }
  return fail(Code::kNotFound,
              fmt::format("find library '{}', needed by '{}': not in {}", needed.name, needed.by,
                          (root / kLibraryFolders.front()).string()));
}

void note_needs(const ElfInfo& info, const std::string& who, std::vector<Needed>& todo) {
  for (const auto& name : info.needed) todo.push_back({name, who});
}

}  // namespace

Status add_program(CpioTree& tree, const std::filesystem::path& program, std::string_view as,
                   const std::filesystem::path& root) {
  COFFER_TRY(auto content, read_file(program));
  COFFER_TRY(const auto info, read_elf(as_bytes(content), program.string()));
  COFFER_TRY_VOID(tree.add_file(as, std::move(content), 0755));
  std::vector<Needed> todo;
  note_needs(info, program.string(), todo);
  if (info.interpreter) {
    const std::string path = info.interpreter->substr(info.interpreter->find_first_not_of('/'));
    const auto name = std::filesystem::path(path).filename().string();
    todo.push_back({name, program.string()});
    if (!tree.contains(path)) {
      COFFER_TRY_VOID(tree.add_symlink(path, fmt::format("/{}/{}", kLibraries, name)));
    }
  }
  std::set<std::string> seen;
  while (!todo.empty()) {
    const Needed needed = std::move(todo.back());
    todo.pop_back();
    const std::string path = fmt::format("{}/{}", kLibraries, needed.name);
    if (!seen.insert(needed.name).second || tree.contains(path)) continue;
    COFFER_TRY(auto library, read_library(root, needed));
    COFFER_TRY(const auto library_info, read_elf(as_bytes(library), needed.name));
    note_needs(library_info, needed.name, todo);
    COFFER_TRY_VOID(tree.add_file(path, std::move(library), 0755));
  }
  return {};
}

}  // namespace coffer::guest_image
