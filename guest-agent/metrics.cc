#include "guest-agent/metrics.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace coffer::agent {
namespace {

constexpr std::size_t kMaxFile = std::size_t{1} << 20U;

std::string slurp(const char* path) { return read_file(path, kMaxFile).value_or(""); }

std::vector<std::string_view> words(std::string_view line, std::string_view separators = " \t:") {
  std::vector<std::string_view> out;
  for (;;) {
    const auto start = line.find_first_not_of(separators);
    if (start == std::string_view::npos) return out;
    line.remove_prefix(start);
    const auto end = std::min(line.find_first_of(separators), line.size());
    out.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

template <typename Visit>
void for_each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

bool is_number(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

class Page {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  void value(std::string_view number) { text_ += fmt::format("{} {}\n", name_, number); }
  void value(std::uint64_t number) { value(fmt::to_string(number)); }
  void item(std::string_view label, std::string_view number) {
    text_ += fmt::format("{}{{item=\"{}\"}} {}\n", name_, label, number);
  }
  void item(std::string_view key, std::string_view of, std::string_view label,
            std::string_view number) {
    text_ += fmt::format("{}{{{}=\"{}\",item=\"{}\"}} {}\n", name_, key, of, label, number);
  }
  std::string take() && { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

void agent_figures(Page& page, std::uint64_t scrapes) {
  const auto stat = slurp("/proc/self/stat");
  const auto after_name = stat.rfind(')');
  const auto fields = after_name == std::string::npos
                          ? std::vector<std::string_view>{}
                          : words(std::string_view(stat).substr(after_name + 1), " \n");
  const auto field = [&](std::size_t index) {  // as proc(5) numbers them
    return index >= 3 && index - 3 < fields.size() ? fields[index - 3] : std::string_view("0");
  };
  const auto number = [&](std::size_t index) {
    std::uint64_t value = 0;
    std::from_chars(field(index).data(), field(index).data() + field(index).size(), value);
    return value;
  };
  const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  page.family("kata_agent_scrape_count", "counter", "Metrics scrape count");
  page.value(scrapes);
  page.family("kata_agent_threads", "gauge", "Agent process threads");
  page.value(field(20));
  page.family("kata_agent_total_time", "gauge", "Agent process total time");
  page.value(fmt::format(
      "{:.2f}", static_cast<double>(number(14) + number(15)) / static_cast<double>(ticks)));
  page.family("kata_agent_total_vm", "gauge", "Agent process total VM size");
  page.value(field(23));
  page.family("kata_agent_total_rss", "gauge", "Agent process total RSS size");
  page.value(number(24) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  page.family("kata_agent_proc_status", "gauge", "Agent process status.");
  for_each_line(slurp("/proc/self/status"), [&](std::string_view line) {
    const auto parts = words(line);
    if (parts.size() == 3 && parts[2] == "kB") page.item(parts[0], parts[1]);
  });
  page.family("kata_agent_io_stat", "gauge", "Agent process IO statistics.");
  for_each_line(slurp("/proc/self/io"), [&](std::string_view line) {
    const auto parts = words(line);
    if (parts.size() == 2) page.item(parts[0], parts[1]);
  });
  page.family("kata_agent_proc_stat", "gauge", "Agent process statistics.");
  page.item("utime", field(14));
  page.item("stime", field(15));
  page.item("cutime", field(16));
  page.item("cstime", field(17));
}

void guest_load(Page& page) {
  const auto loadavg = slurp("/proc/loadavg");
  const auto parts = words(loadavg, " \n");
  if (parts.size() >= 4) {
    page.family("kata_guest_load", "gauge", "Guest system load.");
    page.item("load1", parts[0]);
    page.item("load5", parts[1]);
    page.item("load15", parts[2]);
    const auto slash = parts[3].find('/');
    page.family("kata_guest_tasks", "gauge", "Guest system load.");
    page.item("cur", parts[3].substr(0, slash));
    if (slash != std::string_view::npos) page.item("max", parts[3].substr(slash + 1));
  }
  static constexpr std::array kCpu{"user", "nice",    "system", "idle",  "iowait",
                                   "irq",  "softirq", "steal",  "guest", "guest_nice"};
  page.family("kata_guest_cpu_time", "gauge", "Guest CPU statistics.");
  for_each_line(slurp("/proc/stat"), [&](std::string_view line) {
    const auto fields = words(line);
    if (fields.empty() || !fields[0].starts_with("cpu")) return;
    for (std::size_t i = 0; i < kCpu.size() && i + 1 < fields.size(); ++i)
      page.item("cpu", fields[0] == "cpu" ? "total" : fields[0], kCpu[i], fields[i + 1]);
  });
}

void guest_tables(Page& page) {
  page.family("kata_guest_vm_stat", "gauge", "Guest virtual memory statistics.");
  for_each_line(slurp("/proc/vmstat"), [&](std::string_view line) {
    const auto parts = words(line);
    if (parts.size() == 2) page.item(parts[0], parts[1]);
  });
  page.family("kata_guest_meminfo", "gauge", "Guest memory statistics (kB).");
  for_each_line(slurp("/proc/meminfo"), [&](std::string_view line) {
    const auto parts = words(line);
    if (parts.size() >= 2 && is_number(parts[1])) page.item(parts[0], parts[1]);
  });
  static constexpr std::array kNet{
      "recv_bytes", "recv_packets", "recv_errs",       "recv_drop",
      "recv_fifo",  "recv_frame",   "recv_compressed", "recv_multicast",
      "sent_bytes", "sent_packets", "sent_errs",       "sent_drop",
      "sent_fifo",  "sent_colls",   "sent_carrier",    "sent_compressed"};
  page.family("kata_guest_netdev_stat", "gauge", "Guest net devices statistics.");
  for_each_line(slurp("/proc/net/dev"), [&](std::string_view line) {
    const auto parts = words(line);
    if (parts.size() < 2 || !is_number(parts[1])) return;
    for (std::size_t i = 0; i < kNet.size() && i + 1 < parts.size(); ++i)
      page.item("interface", parts[0], kNet[i], parts[i + 1]);
  });
  static constexpr std::array kDisk{"reads",
                                    "reads_merged",
                                    "sectors_read",
                                    "time_reading",
                                    "writes",
                                    "writes_merged",
                                    "sectors_written",
                                    "time_writing",
                                    "in_progress",
                                    "time_in_progress",
                                    "weighted_time_in_progress"};
  page.family("kata_guest_diskstat", "gauge", "Disks stat in system.");
  for_each_line(slurp("/proc/diskstats"), [&](std::string_view line) {
    const auto parts = words(line);
    for (std::size_t i = 0; i < kDisk.size() && i + 3 < parts.size(); ++i)
      page.item("disk", parts[2], kDisk[i], parts[i + 3]);
  });
}

// The root and what is mounted below /run/kata-containers.
void guest_filesystems(Page& page) {
  const auto mounts = slurp("/proc/self/mounts");
  for (const bool inodes : {false, true}) {
    page.family(inodes ? "kata_guest_filesystem_inodes" : "kata_guest_filesystem_bytes", "gauge",
                inodes ? "Guest filesystem inodes." : "Guest filesystem bytes.");
    for_each_line(mounts, [&](std::string_view line) {
      const auto parts = words(line, " ");
      if (parts.size() < 3 || !(parts[1] == "/" || parts[1].starts_with("/run/kata-containers/")))
        return;
      struct statvfs info{};
      const std::string at(parts[1]);
      if (::statvfs(at.c_str(), &info) != 0) return;
      const auto unit = inodes ? 1UL : info.f_frsize;
      page.item("mount", at, "total",
                fmt::to_string((inodes ? info.f_files : info.f_blocks) * unit));
      page.item("mount", at, "free", fmt::to_string((inodes ? info.f_ffree : info.f_bfree) * unit));
    });
  }
}

}  // namespace

std::string metrics_text(std::uint64_t scrapes) {
  Page page;
  agent_figures(page, scrapes);
  guest_load(page);
  guest_tables(page);
  guest_filesystems(page);
  return std::move(page).take();
}

}  // namespace coffer::agent
