#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "base/fd.h"
#include "guest-agent/cgroup.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;
using Values = std::map<std::string, std::uint64_t>;

constexpr std::size_t kMaxFile = std::size_t{1} << 20U;
constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

Values read_values(const fs::path& file) {
  const auto text = read_file(file, kMaxFile);
  return text ? parse_flat_keyed(*text) : Values{};
}

std::uint64_t value(const Values& values, const char* key) {
  const auto found = values.find(key);
  return found == values.end() ? 0 : found->second;
}

// A controller that is off has no file: zero, as the wire has no "absent".
std::uint64_t read_number(const fs::path& file, std::uint64_t when_max = kUnlimited) {
  const auto text = read_file(file, 64);
  if (!text) return 0;
  if (text->starts_with("max")) return when_max;
  return value(parse_flat_keyed("v " + *text), "v");
}

void fill_cpu(const fs::path& dir, grpc::CpuStats& out) {
  constexpr std::uint64_t kNanosPerMicro = 1000;
  const auto stat = read_values(dir / "cpu.stat");
  auto& usage = *out.mutable_cpu_usage();
  usage.set_total_usage(value(stat, "usage_usec") * kNanosPerMicro);
  usage.set_usage_in_usermode(value(stat, "user_usec") * kNanosPerMicro);
  usage.set_usage_in_kernelmode(value(stat, "system_usec") * kNanosPerMicro);
  auto& throttling = *out.mutable_throttling_data();
  throttling.set_periods(value(stat, "nr_periods"));
  throttling.set_throttled_periods(value(stat, "nr_throttled"));
  throttling.set_throttled_time(value(stat, "throttled_usec") * kNanosPerMicro);
}

void fill_memory(const fs::path& dir, grpc::MemoryStats& out) {
  const auto stat = read_values(dir / "memory.stat");
  const auto events = read_values(dir / "memory.events");
  auto& usage = *out.mutable_usage();
  usage.set_usage(read_number(dir / "memory.current"));
  usage.set_max_usage(read_number(dir / "memory.peak"));
  usage.set_limit(read_number(dir / "memory.max"));
  usage.set_failcnt(value(events, "max"));
  auto& swap = *out.mutable_swap_usage();
  swap.set_usage(read_number(dir / "memory.swap.current"));
  swap.set_limit(read_number(dir / "memory.swap.max"));
  out.mutable_kernel_usage()->set_usage(value(stat, "kernel"));
  out.set_cache(value(stat, "file"));
  out.set_use_hierarchy(true);
  auto& map = *out.mutable_stats();
  for (const auto& [key, number] : stat) map[key] = number;
  // What readers of the v1 form look for; every v2 figure is hierarchical.
  static constexpr std::array<std::pair<std::string_view, const char*>, 10> kOldNames{{
      {"inactive_file", "inactive_file"},
      {"active_file", "active_file"},
      {"inactive_anon", "inactive_anon"},
      {"active_anon", "active_anon"},
      {"unevictable", "unevictable"},
      {"pgfault", "pgfault"},
      {"pgmajfault", "pgmajfault"},
      {"cache", "file"},
      {"rss", "anon"},
      {"mapped_file", "file_mapped"},
  }};
  for (const auto& [name, source] : kOldNames) {
    std::string key(name);
    map[key] = value(stat, source);
    key.insert(0, "total_");
    map[key] = value(stat, source);
  }
}

void add_entry(google::protobuf::RepeatedPtrField<grpc::BlkioStatsEntry>& list,
               const IoStatLine& line, const char* op, const char* key) {
  auto& entry = *list.Add();
  entry.set_major(line.major);
  entry.set_minor(line.minor);
  entry.set_op(op);
  entry.set_value(value(line.values, key));
}

void fill_io(const fs::path& dir, grpc::BlkioStats& out) {
  const auto text = read_file(dir / "io.stat", kMaxFile);
  if (!text) return;
  for (const auto& line : parse_io_stat(*text)) {
    add_entry(*out.mutable_io_service_bytes_recursive(), line, "Read", "rbytes");
    add_entry(*out.mutable_io_service_bytes_recursive(), line, "Write", "wbytes");
    add_entry(*out.mutable_io_serviced_recursive(), line, "Read", "rios");
    add_entry(*out.mutable_io_serviced_recursive(), line, "Write", "wios");
  }
}

void fill_hugetlb(const fs::path& dir, grpc::CgroupStats& out) {
  std::error_code error;
  for (auto it = fs::directory_iterator(dir, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    const auto name = it->path().filename().string();
    constexpr std::string_view kPrefix = "hugetlb.";
    constexpr std::string_view kSuffix = ".current";
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix) || name.ends_with(".rsvd.current"))
      continue;
    const auto size = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
    auto& entry = (*out.mutable_hugetlb_stats())[size];
    entry.set_usage(read_number(it->path()));
    entry.set_failcnt(value(read_values(dir / ("hugetlb." + size + ".events")), "max"));
  }
}

}  // namespace

Result<grpc::CgroupStats> Cgroup::stats() const {
  if (!exists()) return fail(Code::kNotFound, "read cgroup '" + path_ + "': it does not exist");
  grpc::CgroupStats out;
  fill_cpu(directory_, *out.mutable_cpu_stats());
  fill_memory(directory_, *out.mutable_memory_stats());
  out.mutable_pids_stats()->set_current(read_number(directory_ / "pids.current"));
  out.mutable_pids_stats()->set_limit(read_number(directory_ / "pids.max", 0));
  fill_io(directory_, *out.mutable_blkio_stats());
  fill_hugetlb(directory_, out);
  return out;
}

}  // namespace coffer::agent
