// The folders are the architecture: a folder includes only what stands below it (docs/README.md,
// "The house"). Reads the #include lines of the source tree.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/fd.h"

namespace coffer {
namespace {

namespace fs = std::filesystem;

using Folders = std::set<std::string>;

// What each folder may include, beside itself.
const std::map<std::string, Folders>& floors() {
  static const std::map<std::string, Folders> kFloors = {
      {"base", {}},
      {"rpc", {"base"}},
      {"tee", {"base", "rpc"}},
      {"policy", {"base", "rpc"}},
      {"image", {"base", "rpc", "policy", "tee"}},
      {"attestation", {"base", "rpc", "policy", "tee"}},
      {"guest-agent", {"base", "rpc", "policy", "tee", "image", "attestation"}},
      // Never the evaluator nor the attestation service: a pod's footprint on the host.
      {"shim", {"base", "rpc", "tee"}},
      {"guest-image", {"base"}},
      {"cli", {"base", "rpc", "policy", "tee", "image", "attestation", "guest-image", "shim"}},
  };
  return kFloors;
}

std::vector<fs::path> sources(const fs::path& folder) {
  std::vector<fs::path> found;
  if (!fs::exists(folder)) return found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto extension = entry.path().extension();
    if (extension == ".cc" || extension == ".h") found.push_back(entry.path());
  }
  return found;
}

// The folders of our own that a file includes, with the line.
std::vector<std::pair<std::string, int>> included_folders(const std::string& text) {
  static const std::regex kInclude(R"re(^#include "([a-z-]+)/[^"]+")re");
  std::vector<std::pair<std::string, int>> found;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::smatch match;
    if (std::regex_search(line, match, kInclude)) found.emplace_back(match[1], number);
  }
  return found;
}

TEST(Architecture, NoFolderIncludesWhatStandsAboveIt) {
  const fs::path root = COFFER_SOURCE_DIR;
  std::size_t seen = 0;
  for (const auto& [folder, below] : floors()) {
    for (const auto& path : sources(root / folder)) {
      const auto text = read_file(path);
      ASSERT_TRUE(text) << text.error().to_string();
      for (const auto& [included, line] : included_folders(*text)) {
        ++seen;
        EXPECT_TRUE(included == folder || below.contains(included) || !floors().contains(included))
            << fs::relative(path, root).string() << ":" << line << ": " << folder << " includes "
            << included << ", which does not stand below it";
      }
    }
  }
  EXPECT_GT(seen, 100U) << "the test found hardly any include: is the pattern still right?";
}

TEST(Architecture, NeitherTheShimNorTheAgentSpeaksGrpc) {
  const fs::path root = COFFER_SOURCE_DIR;
  for (const char* folder : {"base", "rpc", "tee", "policy", "image", "guest-agent", "shim"}) {
    for (const auto& path : sources(root / folder)) {
      const auto text = read_file(path);
      ASSERT_TRUE(text);
      EXPECT_EQ(text->find("#include <grpc"), std::string::npos)
          << fs::relative(path, root).string() << " includes gRPC";
    }
  }
}

TEST(Architecture, EveryHeaderHasItsGuard) {
  const fs::path root = COFFER_SOURCE_DIR;
  for (const auto& [folder, below] : floors()) {
    for (const auto& path : sources(root / folder)) {
      if (path.extension() != ".h") continue;
      const auto text = read_file(path);
      ASSERT_TRUE(text);
      EXPECT_NE(text->find("#pragma once"), std::string::npos) << fs::relative(path, root).string();
    }
  }
}

TEST(Architecture, TheTreeHoldsNoLargeFiles) {
  constexpr std::uintmax_t kLimit = std::uintmax_t{512} * 1024;
  const fs::path root = COFFER_SOURCE_DIR;
  for (auto it = fs::recursive_directory_iterator(root); it != fs::end(it); ++it) {
    const auto name = it->path().filename().string();
    if (it->is_directory() && (name == ".git" || name == ".cache" || name.starts_with("build"))) {
      it.disable_recursion_pending();
      continue;
    }
    if (!it->is_regular_file()) continue;
    EXPECT_LE(it->file_size(), kLimit) << fs::relative(it->path(), root).string();
  }
}

}  // namespace
}  // namespace coffer
