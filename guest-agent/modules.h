// Kernel modules, from the image's own lists (docs/formats/guest-image.md): no modprobe and no udev
// run in this guest. Everything here is part of the measured image.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace coffer::agent {

class Modules {
 public:
  // `lists` is the folder of the lists ("/etc/coffer"); paths in them are relative to `root`.
  explicit Modules(std::filesystem::path lists = "/etc/coffer", std::filesystem::path root = "/",
                   std::filesystem::path sys = "/sys")
      : lists_(std::move(lists)), root_(std::move(root)), sys_(std::move(sys)) {}

  // What the image says is always loaded. Without lists (not our image) there is nothing to do.
  [[nodiscard]] Status load_at_start();
  // What the devices that are there now ask for by their modalias.
  [[nodiscard]] Status load_for_devices();
  // A module and what it needs; one that the image does not know is taken as built in.
  [[nodiscard]] Status load(std::string_view name);

 private:
  [[nodiscard]] Status read_lists();
  [[nodiscard]] Status insert(const std::string& path);

  std::filesystem::path lists_, root_, sys_;
  bool read_ = false;
  std::map<std::string, std::vector<std::string>, std::less<>> paths_;  // by name
  std::vector<std::pair<std::string, std::string>> aliases_;            // {pattern, name}
  std::set<std::string> inserted_;
  std::set<std::string> seen_aliases_;
};

}  // namespace coffer::agent
