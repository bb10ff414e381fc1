#include "shim/task/stats.h"

#include <string>

#include "base/error.h"
#include "rpc/protos/cgroups_v1.pb.h"
#include "rpc/protos/cgroups_v2.pb.h"

namespace coffer::shim {
namespace {

namespace v1 = io::containerd::cgroups::v1;
namespace v2 = io::containerd::cgroups::v2;

google::protobuf::Any pack(const google::protobuf::Message& message) {
  google::protobuf::Any any;
  any.set_type_url(message.GetTypeName());
  check(message.SerializeToString(any.mutable_value()), "metrics did not serialize");
  return any;
}

template <typename Network>
void fill_network(const grpc::StatsContainerResponse& from, Network add) {
  for (const grpc::NetworkStats& link : from.network_stats()) {
    auto& added = *add();
    added.set_name(link.name());
    added.set_rx_bytes(link.rx_bytes());
    added.set_rx_packets(link.rx_packets());
    added.set_rx_errors(link.rx_errors());
    added.set_rx_dropped(link.rx_dropped());
    added.set_tx_bytes(link.tx_bytes());
    added.set_tx_packets(link.tx_packets());
    added.set_tx_errors(link.tx_errors());
    added.set_tx_dropped(link.tx_dropped());
  }
}

std::uint64_t named(const grpc::MemoryStats& memory, const char* name) {
  const auto found = memory.stats().find(name);
  return found == memory.stats().end() ? 0 : found->second;
}

void fill_entry(const grpc::MemoryData& from, v1::MemoryEntry& to) {
  to.set_limit(from.limit());
  to.set_usage(from.usage());
  to.set_max(from.max_usage());
  to.set_failcnt(from.failcnt());
}

void fill_memory(const grpc::MemoryStats& from, v1::MemoryStat& to) {
  to.set_cache(from.cache());
  to.set_rss(named(from, "rss") != 0 ? named(from, "rss") : named(from, "anon"));
  to.set_total_cache(from.cache());
  to.set_total_rss(to.rss());
  to.set_mapped_file(named(from, "file_mapped"));
  to.set_dirty(named(from, "file_dirty"));
  to.set_writeback(named(from, "file_writeback"));
  to.set_pg_fault(named(from, "pgfault"));
  to.set_pg_maj_fault(named(from, "pgmajfault"));
  to.set_inactive_anon(named(from, "inactive_anon"));
  to.set_active_anon(named(from, "active_anon"));
  to.set_inactive_file(named(from, "inactive_file"));
  to.set_active_file(named(from, "active_file"));
  to.set_total_inactive_file(named(from, "inactive_file"));
  to.set_total_active_file(named(from, "active_file"));
  to.set_unevictable(named(from, "unevictable"));
  to.set_hierarchical_memory_limit(from.usage().limit());
  fill_entry(from.usage(), *to.mutable_usage());
  fill_entry(from.swap_usage(), *to.mutable_swap());
  fill_entry(from.kernel_usage(), *to.mutable_kernel());
}

void fill_memory(const grpc::MemoryStats& from, v2::MemoryStat& to) {
  to.set_anon(named(from, "anon"));
  to.set_file(named(from, "file") != 0 ? named(from, "file") : from.cache());
  to.set_kernel_stack(named(from, "kernel_stack"));
  to.set_slab(named(from, "slab"));
  to.set_sock(named(from, "sock"));
  to.set_shmem(named(from, "shmem"));
  to.set_file_mapped(named(from, "file_mapped"));
  to.set_file_dirty(named(from, "file_dirty"));
  to.set_file_writeback(named(from, "file_writeback"));
  to.set_inactive_anon(named(from, "inactive_anon"));
  to.set_active_anon(named(from, "active_anon"));
  to.set_inactive_file(named(from, "inactive_file"));
  to.set_active_file(named(from, "active_file"));
  to.set_unevictable(named(from, "unevictable"));
  to.set_slab_reclaimable(named(from, "slab_reclaimable"));
  to.set_slab_unreclaimable(named(from, "slab_unreclaimable"));
  to.set_pgfault(named(from, "pgfault"));
  to.set_pgmajfault(named(from, "pgmajfault"));
  to.set_usage(from.usage().usage());
  to.set_usage_limit(from.usage().limit());
  to.set_max_usage(from.usage().max_usage());
  to.set_swap_usage(from.swap_usage().usage());
  to.set_swap_limit(from.swap_usage().limit());
}

void fill_io(const grpc::BlkioStats& from, v2::IOStat& to) {
  // v1 has one row for each direction, v2 one for each device.
  const auto entry = [&](std::uint64_t major, std::uint64_t minor) -> v2::IOEntry& {
    for (v2::IOEntry& each : *to.mutable_usage()) {
      if (each.major() == major && each.minor() == minor) return each;
    }
    v2::IOEntry& added = *to.add_usage();
    added.set_major(major);
    added.set_minor(minor);
    return added;
  };
  const auto is = [](const std::string& op, char lower, char upper) {
    return !op.empty() && (op[0] == lower || op[0] == upper);
  };
  for (const grpc::BlkioStatsEntry& row : from.io_service_bytes_recursive()) {
    if (is(row.op(), 'r', 'R')) entry(row.major(), row.minor()).set_rbytes(row.value());
    if (is(row.op(), 'w', 'W')) entry(row.major(), row.minor()).set_wbytes(row.value());
  }
  for (const grpc::BlkioStatsEntry& row : from.io_serviced_recursive()) {
    if (is(row.op(), 'r', 'R')) entry(row.major(), row.minor()).set_rios(row.value());
    if (is(row.op(), 'w', 'W')) entry(row.major(), row.minor()).set_wios(row.value());
  }
}

void fill_rows(const google::protobuf::RepeatedPtrField<grpc::BlkioStatsEntry>& from,
               google::protobuf::RepeatedPtrField<v1::BlkIOEntry>& to) {
  for (const grpc::BlkioStatsEntry& row : from) {
    v1::BlkIOEntry& added = *to.Add();
    added.set_op(row.op());
    added.set_major(row.major());
    added.set_minor(row.minor());
    added.set_value(row.value());
  }
}

}  // namespace

google::protobuf::Any metrics_v1(const grpc::StatsContainerResponse& stats) {
  const grpc::CgroupStats& from = stats.cgroup_stats();
  v1::Metrics metrics;
  for (const auto& [size, huge] : from.hugetlb_stats()) {
    v1::HugetlbStat& added = *metrics.add_hugetlb();
    added.set_pagesize(size);
    added.set_usage(huge.usage());
    added.set_max(huge.max_usage());
    added.set_failcnt(huge.failcnt());
  }
  metrics.mutable_pids()->set_current(from.pids_stats().current());
  metrics.mutable_pids()->set_limit(from.pids_stats().limit());
  v1::CPUStat& cpu = *metrics.mutable_cpu();
  const grpc::CpuUsage& usage = from.cpu_stats().cpu_usage();
  cpu.mutable_usage()->set_total(usage.total_usage());
  cpu.mutable_usage()->set_kernel(usage.usage_in_kernelmode());
  cpu.mutable_usage()->set_user(usage.usage_in_usermode());
  for (const std::uint64_t each : usage.percpu_usage()) cpu.mutable_usage()->add_per_cpu(each);
  const grpc::ThrottlingData& throttling = from.cpu_stats().throttling_data();
  cpu.mutable_throttling()->set_periods(throttling.periods());
  cpu.mutable_throttling()->set_throttled_periods(throttling.throttled_periods());
  cpu.mutable_throttling()->set_throttled_time(throttling.throttled_time());
  fill_memory(from.memory_stats(), *metrics.mutable_memory());
  const grpc::BlkioStats& blkio = from.blkio_stats();
  v1::BlkIOStat& out = *metrics.mutable_blkio();
  fill_rows(blkio.io_service_bytes_recursive(), *out.mutable_io_service_bytes_recursive());
  fill_rows(blkio.io_serviced_recursive(), *out.mutable_io_serviced_recursive());
  fill_network(stats, [&] { return metrics.add_network(); });
  return pack(metrics);
}

google::protobuf::Any metrics_v2(const grpc::StatsContainerResponse& stats) {
  constexpr std::uint64_t kNanosPerMicro = 1000;
  const grpc::CgroupStats& from = stats.cgroup_stats();
  v2::Metrics metrics;
  metrics.mutable_pids()->set_current(from.pids_stats().current());
  metrics.mutable_pids()->set_limit(from.pids_stats().limit());
  v2::CPUStat& cpu = *metrics.mutable_cpu();
  const grpc::CpuUsage& usage = from.cpu_stats().cpu_usage();
  cpu.set_usage_usec(usage.total_usage() / kNanosPerMicro);
  cpu.set_user_usec(usage.usage_in_usermode() / kNanosPerMicro);
  cpu.set_system_usec(usage.usage_in_kernelmode() / kNanosPerMicro);
  const grpc::ThrottlingData& throttling = from.cpu_stats().throttling_data();
  cpu.set_nr_periods(throttling.periods());
  cpu.set_nr_throttled(throttling.throttled_periods());
  cpu.set_throttled_usec(throttling.throttled_time() / kNanosPerMicro);
  fill_memory(from.memory_stats(), *metrics.mutable_memory());
  fill_io(from.blkio_stats(), *metrics.mutable_io());
  for (const auto& [size, huge] : from.hugetlb_stats()) {
    v2::HugeTlbStat& added = *metrics.add_hugetlb();
    added.set_pagesize(size);
    added.set_current(huge.usage());
    added.set_max(huge.max_usage());
    added.set_failcnt(huge.failcnt());
  }
  fill_network(stats, [&] { return metrics.add_network(); });
  return pack(metrics);
}

}  // namespace coffer::shim
