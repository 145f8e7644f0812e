--- Without a window, so that no display is needed.
function love.conf(settings)
  for _, name in ipairs { "audio", "graphics", "joystick", "sound", "window" } do
    settings.modules[name] = false
  end
end
