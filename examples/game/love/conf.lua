function love.conf(settings)
  settings.window.title = "coropanic"
  settings.window.width = 960
  settings.window.height = 540
end
