#include "guest-agent/transport.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "base/fd.h"
#include "guest-agent/device.h"
#include "guest-agent/namespaces.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

TEST(Address, ReadsTheThreeKinds) {
  const auto any = parse_address("vsock://-1:1024");
  ASSERT_TRUE(any);
  EXPECT_EQ(any->kind, Address::Kind::kVsock);
  EXPECT_EQ(any->cid, 0xffffffffU);
  EXPECT_EQ(any->port, 1024U);
  EXPECT_EQ(parse_address("unix:///run/a.sock")->path, "/run/a.sock");
  EXPECT_EQ(parse_address("serial:///dev/vport0p1")->kind, Address::Kind::kSerial);
}

TEST(Address, RefusesTheRest) {
  for (const char* bad : {"", "tcp://1.2.3.4:5", "vsock://", "vsock://3", "vsock://x:1",
                          "vsock://-1:port", "unix://", "unix://relative", "vsock://-2:1"})
    EXPECT_FALSE(parse_address(bad)) << bad;
}

TEST(SerialPort, IsFoundByItsName) {
  std::string name = fs::temp_directory_path() / "sys-XXXXXX";
  const fs::path sys = ::mkdtemp(name.data());
  for (const auto& [port, label] : {std::pair{"vport0p1", "org.qemu.guest_agent.0\n"},
                                    std::pair{"vport0p2", "org.coffer.agent.0\n"}}) {
    fs::create_directories(sys / "class/virtio-ports" / port);
    ASSERT_TRUE(write_file(sys / "class/virtio-ports" / port / "name", label));
  }
  EXPECT_EQ(find_serial_port(kSerialPortName, sys, "/dev").value_or(""), "/dev/vport0p2");
  EXPECT_FALSE(find_serial_port("org.other", sys, "/dev"));
  fs::remove_all(sys);
}

TEST(PciPath, IsSlotsInHex) {
  for (const char* good : {"02", "02/00", "1f.7", "02.1/1e/00"})
    EXPECT_TRUE(check_pci_path(good)) << good;
  for (const char* bad : {"", "20", "02/", "/02", "02.8", "0x2", "02/../03", "1/2/3/4/5/6/7/8/9"})
    EXPECT_FALSE(check_pci_path(bad)) << bad;
}

TEST(Sysctl, IsOneThatANamespaceConfines) {
  EXPECT_EQ(sysctl_path("net.ipv4.ip_forward").value_or(""), "net/ipv4/ip_forward");
  EXPECT_EQ(sysctl_path("net/ipv4/conf/eth0.1/rp_filter").value_or(""),
            "net/ipv4/conf/eth0.1/rp_filter");
  EXPECT_EQ(sysctl_path("kernel.shmmax").value_or(""), "kernel/shmmax");
  EXPECT_EQ(sysctl_path("fs.mqueue.msg_max").value_or(""), "fs/mqueue/msg_max");
  for (const char* bad : {"", "kernel.core_pattern", "kernel.hostname", "vm.swappiness",
                          "net/../kernel/core_pattern", "net//x", "net.ipv4 .x", "fs.file-max"})
    EXPECT_FALSE(sysctl_path(bad)) << bad;
}

}  // namespace
}  // namespace coffer::agent
