/* SPDX-License-Identifier: MIT */
/*
 * A program that draws by the guest's driver of Vulkan: clears a picture, copies it into memory that it
 * sees, and looks at each pixel, many times over. Says by whom it was drawn.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

enum { SIDE = 64, FRAMES = 50 };

static VkPhysicalDevice gpu;
static VkDevice device;
static VkQueue queue;
static VkCommandBuffer commands;
static VkFence fence;
static VkImage image;
static VkBuffer buffer;
static const uint32_t *pixels;

static void check(VkResult r, const char *what)
{
	if (r == VK_SUCCESS)
		return;
	fprintf(stderr, "fill: %s: %d\n", what, r);
	exit(1);
}
#define DO(call) check(call, #call)

static void find_gpu(void)
{
	const VkApplicationInfo app = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_1};
	const VkInstanceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app};
	VkPhysicalDeviceProperties p;
	VkInstance instance;
	uint32_t n = 1;

	DO(vkCreateInstance(&info, NULL, &instance));
	DO(vkEnumeratePhysicalDevices(instance, &n, &gpu));
	vkGetPhysicalDeviceProperties(gpu, &p);
	printf("%s\n", p.deviceName);
}

static void make_device(void)
{
	const float priority = 1;
	const VkDeviceQueueCreateInfo q = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueCount = 1,
		.pQueuePriorities = &priority};
	const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &q};
	const VkCommandPoolCreateInfo pool_info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT};
	const VkFenceCreateInfo fence_info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
	VkCommandBufferAllocateInfo buffer_info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandBufferCount = 1};

	DO(vkCreateDevice(gpu, &info, NULL, &device));
	vkGetDeviceQueue(device, 0, 0, &queue);
	DO(vkCreateCommandPool(device, &pool_info, NULL, &buffer_info.commandPool));
	DO(vkAllocateCommandBuffers(device, &buffer_info, &commands));
	DO(vkCreateFence(device, &fence_info, NULL, &fence));
}

static VkDeviceMemory allocate(VkMemoryRequirements need, VkMemoryPropertyFlags flags)
{
	VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = need.size};
	VkPhysicalDeviceMemoryProperties p;
	VkDeviceMemory memory;
	uint32_t i = 0;

	vkGetPhysicalDeviceMemoryProperties(gpu, &p);
	while (i < p.memoryTypeCount
		&& (!(need.memoryTypeBits >> i & 1)
			|| (p.memoryTypes[i].propertyFlags & flags) != flags))
		i++;
	info.memoryTypeIndex = i;
	DO(vkAllocateMemory(device, &info, NULL, &memory));
	return memory;
}

static void make_picture(void)
{
	const VkImageCreateInfo info = {.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
		.imageType = VK_IMAGE_TYPE_2D,
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.extent = {SIDE, SIDE, 1},
		.mipLevels = 1,
		.arrayLayers = 1,
		.samples = VK_SAMPLE_COUNT_1_BIT,
		.usage = VK_IMAGE_USAGE_TRANSFER_DST_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT};
	const VkBufferCreateInfo buffer_info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = SIDE * SIDE * 4,
		.usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT};
	VkMemoryRequirements need;
	VkDeviceMemory memory;

	DO(vkCreateImage(device, &info, NULL, &image));
	vkGetImageMemoryRequirements(device, image, &need);
	DO(vkBindImageMemory(device, image, allocate(need, 0), 0));
	DO(vkCreateBuffer(device, &buffer_info, NULL, &buffer));
	vkGetBufferMemoryRequirements(device, buffer, &need);
	memory = allocate(
		need, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
	DO(vkBindBufferMemory(device, buffer, memory, 0));
	DO(vkMapMemory(device, memory, 0, VK_WHOLE_SIZE, 0, (void **)&pixels));
}

static void move_to(VkImageLayout from, VkImageLayout to)
{
	const VkImageMemoryBarrier b = {.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT,
		.oldLayout = from,
		.newLayout = to,
		.srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.image = image,
		.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1}};

	vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
		VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0, 0, NULL, 0, NULL, 1, &b);
}

static void draw(uint8_t n)
{
	const VkCommandBufferBeginInfo begin = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
	const VkClearColorValue colour = {
		.float32 = {(float)n / 255, (float)(255 - n) / 255, 0, 1}};
	const VkImageSubresourceRange all = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
	const VkBufferImageCopy copy = {.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
		.imageExtent = {SIDE, SIDE, 1}};
	const VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.commandBufferCount = 1,
		.pCommandBuffers = &commands};

	DO(vkBeginCommandBuffer(commands, &begin));
	move_to(VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL);
	vkCmdClearColorImage(
		commands, image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, &colour, 1, &all);
	move_to(VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL);
	vkCmdCopyImageToBuffer(
		commands, image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, buffer, 1, &copy);
	DO(vkEndCommandBuffer(commands));
	DO(vkQueueSubmit(queue, 1, &submit, fence));
	DO(vkWaitForFences(device, 1, &fence, VK_TRUE, UINT64_MAX));
	DO(vkResetFences(device, 1, &fence));
}

int main(void)
{
	unsigned wrong = 0;

	find_gpu();
	make_device();
	make_picture();
	for (unsigned i = 0; i < FRAMES; i++) {
		uint8_t n = (uint8_t)(i * 5);
		uint32_t wanted = 0xff000000u | (uint32_t)(255 - n) << 8 | n;

		draw(n);
		for (unsigned k = 0; k < SIDE * SIDE; k++)
			wrong += pixels[k] != wanted;
	}
	printf("%d pictures, %u wrong pixels\n", FRAMES, wrong);
	return wrong ? 1 : 0;
}
